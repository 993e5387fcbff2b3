"use strict";
/* A canvas on which pixels are hidden and shown again, by pointer, finger or keys. brush: {x: the picture,
   seen, active: () -> whether it is drawn on, radius: () -> pixels, erases: () -> whether pixels are shown
   again, changed: () -> after every stroke and key}. Returns {show, hideMiddle}. */
window.frugalBrush = (canvas, brush) => {
  const {N, draw, middle} = window.frugalPictures;
  const KEYS = {ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2]};
  const cursor = {x: N / 2, y: N / 2};
  let before = null; // where the stroke was last

  function show() {
    draw(canvas, brush.x, brush.active() && brush.seen, 0.8);
    if (document.activeElement !== canvas || !brush.active()) return;
    const context = canvas.getContext("2d");
    const r = brush.radius();
    context.globalCompositeOperation = "difference";
    context.strokeStyle = "#fff";
    context.strokeRect(cursor.x - r + 0.5, cursor.y - r + 0.5, 2 * r - 1, 2 * r - 1);
    context.globalCompositeOperation = "source-over";
  }
  function stamp({x: a, y: b}, value) {
    const r = brush.radius();
    for (let y = Math.max(0, b - r); y < Math.min(N, b + r); y++)
      for (let x = Math.max(0, a - r); x < Math.min(N, a + r); x++) brush.seen[y * N + x] = value;
  }
  function stroke(from, to, value) {
    // every pixel on the way, however fast the pointer was
    const length = Math.max(1, Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    const between = (a, b, i) => Math.round(a + ((b - a) * i) / length);
    for (let i = 0; i <= length; i++)
      stamp({x: between(from.x, to.x, i), y: between(from.y, to.y, i)}, value);
    show();
  }
  function drawn(event) {
    const box = canvas.getBoundingClientRect();
    cursor.x = Math.floor(((event.clientX - box.left) / box.width) * N);
    cursor.y = Math.floor(((event.clientY - box.top) / box.height) * N);
    stroke(before || cursor, cursor, brush.erases() ? 1 : 0);
    before = {...cursor};
  }
  function ended() {
    if (before) brush.changed();
    before = null;
  }

  canvas.onpointerdown = (event) => {
    if (!brush.active()) return;
    canvas.setPointerCapture(event.pointerId);
    drawn(event);
  };
  canvas.onpointermove = (event) => before && event.buttons & 1 && drawn(event);
  canvas.onpointerup = canvas.onpointercancel = ended;
  canvas.onkeydown = (event) => {
    const move = KEYS[event.key];
    const stamps = event.key === " " || event.key === "Backspace";
    if (!brush.active() || !(move || stamps)) return;
    event.preventDefault();
    event.stopPropagation(); // the theme turns pages by arrow keys
    if (move) {
      cursor.x = Math.max(0, Math.min(N, cursor.x + move[0]));
      cursor.y = Math.max(0, Math.min(N, cursor.y + move[1]));
    } else stamp(cursor, event.key === " " ? 0 : 1);
    show();
    if (stamps) brush.changed();
  };
  canvas.onfocus = canvas.onblur = show;

  function hideMiddle() {
    middle().forEach((open, p) => {
      brush.seen[p] &= open;
    });
    show();
  }
  return {show, hideMiddle};
};
