// Messages between Python and the browser: u32 header length, JSON header, raw bytes.

/** { header, body } of a message; the body is a Uint8Array that begins on a multiple of four. */
export function unpack(bytes) {
  const message = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const length = new DataView(message.buffer, message.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(message.subarray(4, 4 + length)));
  return { header, body: message.subarray(4 + length) };
}

/** Takes typed arrays off a body one after the other: reader(Float32Array, 12). */
export function reader(body) {
  // copied once: a view may begin at an address that a Float32Array cannot
  const buffer = body.slice().buffer;
  let offset = 0;
  return (Type, length) => {
    const array = new Type(buffer, offset, length);
    offset += array.byteLength;
    return array;
  };
}

/** Base64 of one bit for each entry of `flags`, first bit highest: what numpy.unpackbits reads. */
export function packBits(flags) {
  const bytes = new Uint8Array(Math.ceil(flags.length / 8));
  flags.forEach((flag, k) => {
    if (flag) bytes[k >> 3] |= 128 >> (k & 7);
  });
  let text = "";
  for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  return btoa(text);
}

/** `count` flags of such a text, as a Uint8Array of 0 and 1. */
export function unpackBits(text, count) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Uint8Array.from({ length: count }, (_, k) => (bytes[k >> 3] >> (7 - (k & 7))) & 1);
}
