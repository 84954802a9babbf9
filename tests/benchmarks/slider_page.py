"""What live.py is held against: a slider of Streamlit's own, and the picture it leads to."""

import numpy as np
import streamlit as st

from explorer.shelf import PRETRAINED, SHELF

opened = SHELF.open(PRETRAINED / st.query_params.get("model", "faces"))


@st.fragment
def dial() -> None:
    value = st.slider("Dial", -3.0, 3.0, 0.0, 0.05)
    z = opened.atlas.mean + value * opened.atlas.axes[0]
    st.image(opened.decoder(z[None].astype(np.float32))[0].squeeze(), width=512)


dial()
