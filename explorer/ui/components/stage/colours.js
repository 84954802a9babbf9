// From numbers to colours of the theme.

/** [r, g, b] of a CSS colour. */
function parse(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

/** A function from a class number to [r, g, b]: the palette, again from its start if it ends. */
export function classes(palette) {
  const colours = palette.map(parse);
  return (k) => colours[k % colours.length];
}

/** A function from [low, high] to [r, g, b] along the stops. */
export function ramp(stops, low, high) {
  const colours = stops.map(parse);
  return (value) => {
    const at = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (colours.length - 1);
    const k = Math.min(colours.length - 2, Math.floor(at));
    return colours[k].map((from, c) => Math.round(from + (at - k) * (colours[k + 1][c] - from)));
  };
}
