// Many dots on a canvas: WebGL2, or one by one where a browser has none.

const VERTEX = `#version 300 es
in vec2 at; in vec4 colour;
uniform vec2 centre, scale; uniform float size;
out vec4 tint;
void main() {
  gl_Position = vec4((at - centre) * scale, 0.0, 1.0);
  gl_PointSize = size;
  tint = colour;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint; out vec4 pixel;
void main() {
  float far = length(gl_PointCoord - 0.5);
  float cover = tint.a * (1.0 - smoothstep(0.36, 0.5, far));
  pixel = vec4(tint.rgb * cover, cover);
}`;

/** What draws xy (Float32Array of pairs) in colours (Uint8Array, four for each) on a canvas. */
export function dots(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false });
  return gl ? new Shaded(gl) : new Plain(canvas.getContext("2d"));
}

class Shaded {
  constructor(gl) {
    this.gl = gl;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "at");
    gl.bindAttribLocation(program, 1, "colour");
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.uniforms = ["centre", "scale", "size"].map((name) => gl.getUniformLocation(program, name));
    this.buffers = [gl.createBuffer(), gl.createBuffer()];
  }

  load(xy, colours) {
    const { gl } = this;
    this.count = xy.length / 2;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
    gl.bufferData(gl.ARRAY_BUFFER, xy, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
    gl.bufferData(gl.ARRAY_BUFFER, colours, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, 0, 0);
  }

  /** view: { x, y, unit }, unit the canvas pixels of one map unit; size of a dot in canvas pixels. */
  draw({ x, y, unit }, size) {
    const { gl } = this;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniforms[0], x, y);
    gl.uniform2f(this.uniforms[1], (2 * unit) / width, (2 * unit) / height);
    gl.uniform1f(this.uniforms[2], size);
    gl.drawArrays(gl.POINTS, 0, this.count);
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

class Plain {
  constructor(context) {
    this.context = context;
  }

  load(xy, colours) {
    Object.assign(this, { xy, colours });
  }

  draw({ x, y, unit }, size) {
    const { context, xy, colours } = this;
    const { width, height } = context.canvas;
    context.clearRect(0, 0, width, height);
    for (let k = 0; k < xy.length / 2; k++) {
      const [r, g, b, a] = colours.subarray(4 * k, 4 * k + 4);
      context.fillStyle = `rgb(${r} ${g} ${b} / ${a / 255})`;
      const [left, top] = [width / 2 + (xy[2 * k] - x) * unit, height / 2 - (xy[2 * k + 1] - y) * unit];
      context.fillRect(left - size / 2, top - size / 2, size, size);
    }
  }

  close() {}
}
