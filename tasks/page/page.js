"use strict";
/* The measuring page. Everything it shows comes from this server: /v1/preview makes any file a
 * picture, /v1/measure streams the answer. Coordinates of answers are relative to the picture, from
 * its lower-left corner. */
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), pen = canvas.getContext("2d");
const MODEL = "#ff922b", HAND = "#22b8cf";
let file = null;       // {url, isVolume, name}
let picture = null;    // Image of the preview
let pixelSize = null;  // [w, h] in mm, from the header
let result = null;     // of the last measurement
let points = [];       // by hand, relative, origin at the upper left
let cross = null;      // the keyboard's cursor, likewise
let running = null;    // AbortController
let previews = 0;

const task = () => document.querySelector("input[name=task]:checked").value;
const say = (text) => { $("status").textContent = text; };
const fail = (text) => { $("error").textContent = text; };

/* ---- talking to the server ---- */

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = "Bearer " + $("key").value;
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!reply.ok) {
    const text = await reply.text();
    let message = reply.status + " " + reply.statusText;
    try { message = JSON.parse(text).error.message; } catch (e) { /* not ours */ }
    throw new Error(message);
  }
  return reply;
}

async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ") || part === "data: [DONE]") continue;
      yield JSON.parse(part.slice(6));
    }
  }
}

/* ---- the picture ---- */

const read = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(new Error("the file cannot be read"));
  reader.readAsDataURL(blob);
});

async function take(blob) {
  fail("");
  say("Reading " + blob.name);
  const url = (await read(blob)).replace(/^data:[^,]*,/, "data:application/octet-stream;base64,");
  file = { url, isVolume: /\.nii(\.gz)?$/i.test(blob.name), name: blob.name };
  $("volume").hidden = !file.isVolume;
  $("index").value = -1;
  await preview(true);
}

function body() {
  if (!file.isVolume) return { image: file.url };
  const out = { volume: file.url, plane: $("plane").value };
  if ($("modality").value) out.modality = $("modality").value;
  return out;
}

async function preview(fresh) {
  const number = ++previews, ask = body();
  if (!file) return;
  if (file.isVolume && !fresh) ask.index = Number($("index").value);
  try {
    const got = await (await post("v1/preview", ask)).json();
    if (number !== previews) return;
    if (got.slices) {
      $("index").max = got.slices[$("plane").value] - 1;
      $("index").value = got.index;
      $("index-text").textContent = got.index + " (0 to " + $("index").max + ")";
    }
    const image = new Image();
    image.src = got.png;
    await image.decode();
    picture = image;
    show(got);
  } catch (e) {
    if (number === previews) { say(""); fail(e.message); }
  }
}

function show(got) {
  result = null;
  points = [];
  cross = null;
  $("answer").hidden = true;
  pixelSize = got.pixel_size;
  if (pixelSize) {
    $("pw").value = pixelSize[0];
    $("ph").value = pixelSize[1];
  } else {
    $("pw").value = $("ph").value = "";
  }
  $("pixel-note").textContent = pixelSize ? "From the file's header." : "The file has none: please enter it.";
  $("size").textContent = file.name + ": " + got.image_size[0] + " × " + got.image_size[1] + " pixels";
  canvas.setAttribute("aria-label", "Image " + file.name);
  say("Image ready.");
  draw();
  tellHand();
}

/* ---- drawing ---- */

function line(a, b) {
  pen.beginPath();
  pen.moveTo(a[0] * canvas.width, a[1] * canvas.height);
  pen.lineTo(b[0] * canvas.width, b[1] * canvas.height);
  pen.stroke();
}

function mark(p, text, colour) {
  const x = p[0] * canvas.width, y = p[1] * canvas.height, r = canvas.width / 130;
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, r, 0, 7);
  pen.fill();
  pen.font = "bold " + Math.round(canvas.width / 32) + "px sans-serif";
  pen.strokeStyle = "#000a";
  pen.lineWidth = canvas.width / 160;
  pen.strokeText(text, x + 2 * r, y - 2 * r);
  pen.fillText(text, x + 2 * r, y - 2 * r);
}

const flip = (p) => [p[0], 1 - p[1]];

function drawAnswer() {
  if (!result) return;
  pen.strokeStyle = MODEL;
  pen.lineWidth = canvas.width / 220;
  if (result.task === "detect") {
    if (!result.values) return;
    const [x0, y0, x1, y1] = result.values;
    pen.strokeRect(x0 * canvas.width, (1 - y1) * canvas.height, (x1 - x0) * canvas.width, (y1 - y0) * canvas.height);
    return;
  }
  const at = (result.landmarks || []).map(flip);
  for (let i = 0; i + 1 < at.length; i += 2) {
    pen.strokeStyle = MODEL;
    pen.lineWidth = canvas.width / 220;
    line(at[i], at[i + 1]);
  }
  at.forEach((p, i) => mark(p, result.task === "size" ? "" : String(i + 1), MODEL));
}

function drawHand() {
  pen.strokeStyle = HAND;
  pen.lineWidth = canvas.width / 260;
  if (points.length >= 2) line(points[0], points[1]);
  if (points.length === 3) line(points[1], points[2]);
  if (points.length === 4) line(points[2], points[3]);
  points.forEach((p, i) => mark(p, String.fromCharCode(97 + i), HAND));
  if (!cross || document.activeElement !== canvas) return;
  pen.strokeStyle = HAND;
  const d = 0.03;
  line([cross[0] - d, cross[1]], [cross[0] + d, cross[1]]);
  line([cross[0], cross[1] - d], [cross[0], cross[1] + d]);
}

/* Pixels on the screen as the patient has them: a picture of oblong pixels is stretched. */
function draw(withHand = true) {
  if (!picture) return;
  const [pw, ph] = sizeNow() || [1, 1], ratio = Math.min(4, Math.max(0.25, ph / pw));
  const scale = Math.max(1, 768 / picture.naturalWidth);
  canvas.width = Math.round(picture.naturalWidth * scale);
  canvas.height = Math.round(picture.naturalHeight * scale * ratio);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  drawAnswer();
  if (withHand) drawHand();
}

/* ---- by hand ---- */

function sizeNow() {
  const w = parseFloat($("pw").value.replace(",", ".")), h = parseFloat(($("ph").value || $("pw").value).replace(",", "."));
  return w > 0 && h > 0 ? [w, h] : null;
}

function tellHand() {
  const mm = sizeNow();
  const at = points.map((p) => [p[0] * picture.naturalWidth * (mm ? mm[0] : 1), p[1] * picture.naturalHeight * (mm ? mm[1] : 1)]);
  const away = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  let text = points.length + (points.length === 1 ? " point." : " points.");
  if (points.length >= 2) text = "Distance a-b: " + away(at[0], at[1]).toFixed(2) + (mm ? " mm" : " pixels");
  if (points.length >= 3) {
    const [p, q] = points.length === 3 ? [at[1], at[2]] : [at[2], at[3]];
    const u = [at[1][0] - at[0][0], at[1][1] - at[0][1]], v = [q[0] - p[0], q[1] - p[1]];
    const cos = Math.abs(u[0] * v[0] + u[1] * v[1]) / (Math.hypot(...u) * Math.hypot(...v) || 1);
    text += ", " + (points.length === 3 ? "b-c: " : "c-d: ") + away(p, q).toFixed(2) + (mm ? " mm" : " pixels");
    text += ", angle: " + (Math.acos(Math.min(1, cos)) * 180 / Math.PI).toFixed(2) + "°";
  }
  $("hand-value").textContent = points.length ? text : "No points yet.";
}

function setPoint(p) {
  if (points.length === 4) points = [];
  points.push(p);
  draw();
  tellHand();
}

canvas.addEventListener("click", (e) => {
  if (!picture) return;
  const box = canvas.getBoundingClientRect();
  setPoint([(e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height]);
});

canvas.addEventListener("keydown", (e) => {
  if (!picture) return;
  const step = e.shiftKey ? 0.05 : 0.004;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  cross = cross || [0.5, 0.5];
  if (moves[e.key]) {
    cross = cross.map((v, i) => Math.min(1, Math.max(0, v + step * moves[e.key][i])));
  } else if (e.key === "Enter") {
    setPoint([...cross]);
  } else if (e.key === "Backspace") {
    points.pop();
  } else if (e.key === "Escape") {
    points = [];
  } else {
    return;
  }
  e.preventDefault();
  draw();
  tellHand();
});
canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) cross = cross || [0.5, 0.5]; draw(); });
canvas.addEventListener("blur", () => draw());
$("hand-clear").addEventListener("click", () => { points = []; if (picture) { draw(); tellHand(); } });

/* ---- measuring ---- */

function question() {
  const ask = Object.assign(body(), { task: task(), stream: true });
  if (file.isVolume) ask.index = Number($("index").value);
  if ($("description").value) ask.description = $("description").value;
  if (ask.task === "detect" || ask.task === "size") ask.label = $("label").value;
  if (ask.task === "distance") ask.landmarks = [$("p1").value, $("p2").value];
  if (ask.task === "angle") {
    ask.line1 = [$("a1").value, $("a2").value];
    ask.line2 = [$("b1").value, $("b2").value];
  }
  if (ask.task !== "detect" && sizeNow()) ask.pixel_size = sizeNow();
  return ask;
}

function row(name, value, recomputed) {
  const tr = document.createElement("tr");
  [name, value, recomputed].forEach((text, i) => {
    const cell = document.createElement(i ? "td" : "th");
    if (!i) cell.scope = "row";
    cell.textContent = text;
    tr.append(cell);
  });
  $("values").append(tr);
}

function tell() {
  const names = { detect: ["left", "bottom", "right", "top"], size: ["major axis", "minor axis"],
    distance: ["distance"], angle: ["angle"] }[result.task];
  const unit = { millimeters: " mm", centimeters: " cm", degrees: "°" }[result.unit] || "";
  const digits = result.task === "detect" ? 3 : 2;
  const put = (list, i) => (list && list[i] !== null && list[i] !== undefined ? list[i].toFixed(digits) + unit : "–");
  $("values").replaceChildren();
  names.forEach((name, i) => row(name, put(result.values, i), put(result.recomputed, i)));
  $("answer").hidden = false;
  say(result.parsed ? "Done: " + names.map((n, i) => n + " " + put(result.values, i)).join(", ") + "."
    : "The model's answer holds no numbers.");
}

async function measure() {
  fail("");
  if (!file || !picture) { fail("Choose an image first."); $("file").focus(); return; }
  if (task() !== "detect" && !sizeNow()) { fail("Enter the pixel size in millimetres."); $("pw").focus(); return; }
  running = new AbortController();
  $("go").disabled = true;
  $("stop").disabled = false;
  $("reasoning").textContent = "";
  $("answer").hidden = true;
  result = null;
  draw();
  say("Measuring …");
  try {
    const reply = await post("v1/measure", question(), running.signal);
    for await (const event of events(reply)) {
      if (event.error) throw new Error(event.error.message);
      if (event.delta !== undefined) {
        const box = $("reasoning"), atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
        box.append(event.delta);
        if (atEnd) box.scrollTop = box.scrollHeight;
      } else {
        result = event;
      }
    }
    if (!result) throw new Error("the server ended without an answer");
    tell();
    draw();
  } catch (e) {
    say("");
    if (e.name === "AbortError") say("Stopped."); else fail(e.message);
  }
  running = null;
  $("go").disabled = false;
  $("stop").disabled = true;
}

/* ---- saving ---- */

function save(url, name) {
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
}

$("save-json").addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([JSON.stringify(result, null, 1)], { type: "application/json" }));
  save(url, file.name + ".json");
  setTimeout(() => URL.revokeObjectURL(url), 1000);
});
$("save-png").addEventListener("click", () => {
  draw(false);
  save(canvas.toDataURL("image/png"), file.name + "-overlay.png");
  draw();
});

/* ---- the form ---- */

function showTask() {
  for (const part of document.querySelectorAll("[data-for]"))
    part.hidden = !part.dataset.for.split(" ").includes(task());
}

$("form").addEventListener("submit", (e) => { e.preventDefault(); if (!running) measure(); });
$("stop").addEventListener("click", () => { if (running) running.abort(); });
$("tasks").addEventListener("change", showTask);
for (const id of ["pw", "ph"]) $(id).addEventListener("input", () => { if (picture) { draw(); tellHand(); } });
$("file").addEventListener("change", (e) => { if (e.target.files[0]) take(e.target.files[0]).catch((x) => fail(x.message)); });
for (const id of ["plane", "modality"]) $(id).addEventListener("change", () => { if (file) preview(id === "plane"); });
let pause = 0;
$("index").addEventListener("input", () => {
  $("index-text").textContent = $("index").value + " (0 to " + $("index").max + ")";
  clearTimeout(pause);
  pause = setTimeout(() => preview(false), 120);
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (e) => {
    e.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && e.dataTransfer.files[0]) take(e.dataTransfer.files[0]).catch((x) => fail(x.message));
  });
showTask();
fetch("version").then((r) => r.json()).then((v) => {
  $("about").textContent = "medvision " + v.version + ", " + v.device + ", " + v.dtype + ".";
}).catch(() => {});
