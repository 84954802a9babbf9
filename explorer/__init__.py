"""Load a checkpoint, encode an image, move its latent, decode it again. No Streamlit here."""
