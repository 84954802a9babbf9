// "Still on the map?" in words: how many of the latents that a model knows are less likely.

export const TYPICAL = 0.15; // atlas.py leads back to it

const LEVELS = [
  [TYPICAL, "Typical", "Most pictures the model knows are no likelier than this one."],
  [0.02, "Unusual", "Few pictures the model knows are as unlikely as this one."],
  [-1, "Off the map", "The model knows nothing like this: what you see is a guess."],
];

/** { word, meaning } of a share in [0, 1]. */
export function inWords(share) {
  const [, word, meaning] = LEVELS.find(([from]) => share > from);
  return { word, meaning };
}

/** How far a meter is filled: the square root gives room to the low end, where it matters. */
export const filled = (share) => Math.sqrt(Math.min(1, Math.max(0.002, share)));
