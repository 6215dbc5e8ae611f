"use strict";
/* The measuring page. Everything it shows comes from this server: /v1/preview makes any file a
 * picture, /v1/measure streams the answer. Coordinates of answers are relative to the picture, from
 * its lower-left corner. */
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), pen = canvas.getContext("2d");
const MODEL = "#ff922b", HAND = "#22b8cf";
let file = null;       // {url, isVolume, name}
let picture = null;    // Image of the preview
let size = [0, 0];     // pixels of the file, which a large one's preview has fewer of
let pixelSize = null;  // [w, h] in mm, from the header
let result = null;     // of the last measurement
let points = [];       // by hand, relative, origin at the upper left
let cross = null;      // the keyboard's cursor, likewise
let running = null;    // AbortController
let previews = 0;
let ready = Promise.resolve(); // when the preview asked for last is there
let pause = 0;

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
  await change(true);
}

/* Another picture: what is measured on this one ends. */
function change(fresh, delay = 0) {
  if (running) running.abort();
  clearTimeout(pause);
  ready = new Promise((done) => { pause = setTimeout(() => done(preview(fresh)), delay); });
  return ready;
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
      tellSlice();
    }
    const image = new Image();
    image.src = got.png;
    await image.decode();
    picture = image;
    size = got.image_size;
    show(got);
  } catch (e) {
    if (number === previews) { say(""); fail(e.message); }
  }
}

function tellSlice() {
  $("index-text").textContent = $("index").value + " of 0 to " + $("index").max;
}

function show(got) {
  result = null;
  points = [];
  cross = null;
  $("empty").hidden = true;
  canvas.hidden = $("hand").hidden = false;
  $("answer").hidden = true;
  pixelSize = got.pixel_size;
  if (pixelSize) {
    $("pw").value = pixelSize[0];
    $("ph").value = pixelSize[1];
  } else {
    $("pw").value = $("ph").value = "";
  }
  $("pixel-note").textContent = pixelSize ? "From the file's header." : "The file does not say: please enter it.";
  $("size").textContent = file.name + ", " + size[0] + " × " + size[1] + " pixels";
  canvas.setAttribute("aria-label", "Image " + file.name + ": set points with the keyboard");
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
  const scale = Math.max(1, 1024 / picture.naturalWidth);
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

/* What the points give: lengths a-b and c-d in mm (pixels where their size is not known), the angle
 * between those lines in degrees. With three points the second line is b-c. */
function byHand() {
  const mm = sizeNow() || [1, 1];
  const at = points.map((p) => [p[0] * size[0] * mm[0], p[1] * size[1] * mm[1]]);
  const line = (i, j) => [at[j][0] - at[i][0], at[j][1] - at[i][1]];
  const lines = [];
  if (at.length >= 2) lines.push(line(0, 1));
  if (at.length === 3) lines.push(line(1, 2));
  if (at.length === 4) lines.push(line(2, 3));
  const lengths = lines.map((v) => Math.hypot(...v));
  let angle = null;
  if (lines.length === 2 && lengths[0] && lengths[1]) {
    const cos = Math.abs(lines[0][0] * lines[1][0] + lines[0][1] * lines[1][1]) / (lengths[0] * lengths[1]);
    angle = Math.acos(Math.min(1, cos)) * 180 / Math.PI;
  }
  return { lengths, angle };
}

function tellHand() {
  const { lengths, angle } = byHand(), unit = sizeNow() ? " mm" : " pixels";
  const names = ["a–b ", points.length === 3 ? "b–c " : "c–d "];
  const parts = lengths.map((x, i) => names[i] + x.toFixed(2) + unit);
  if (angle !== null) parts.push("angle " + angle.toFixed(2) + "°");
  if (!parts.length) parts.push(points.length ? "1 point." : "No points yet.");
  $("hand-value").textContent = parts.join(", ");
  if (result) fillTable();
}

/* The points' answer to the task, to stand beside the model's. */
function handValues() {
  const { lengths, angle } = byHand();
  if (result.task === "angle") return [angle];
  if (result.task === "detect") {
    if (points.length < 2) return [];
    const x = points.map((p) => p[0]), y = points.map((p) => 1 - p[1]);
    return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
  }
  if (!sizeNow()) return [];
  const scale = result.unit === "centimeters" ? 0.1 : 1;
  return [...lengths].sort((p, q) => q - p).slice(0, result.task === "size" ? 2 : 1).map((v) => v * scale);
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

function row(...texts) {
  const tr = document.createElement("tr");
  texts.forEach((text, i) => {
    const cell = document.createElement(i ? "td" : "th");
    if (!i) cell.scope = "row";
    cell.textContent = text;
    tr.append(cell);
  });
  $("values").append(tr);
}

/* Fills the table; returns its first two columns as a sentence. */
function fillTable() {
  const names = { detect: ["left", "bottom", "right", "top"], size: ["major axis", "minor axis"],
    distance: ["distance"], angle: ["angle"] }[result.task];
  const unit = { millimeters: " mm", centimeters: " cm", degrees: "°" }[result.unit] || "";
  const digits = result.task === "detect" ? 3 : 2, hand = handValues();
  const put = (list, i) => (list && Number.isFinite(list[i]) ? list[i].toFixed(digits) + unit : "–");
  $("values").replaceChildren();
  names.forEach((name, i) => row(name, put(result.values, i), put(result.recomputed, i), put(hand, i)));
  return names.map((name, i) => name + " " + put(result.values, i)).join(", ");
}

function tell() {
  const said = fillTable();
  $("answer").hidden = false;
  say(result.parsed ? "Done: " + said + "." : "The model's answer holds no numbers.");
}

/* The model's text as steps: its tags become headings. */
function showThoughts(text) {
  const box = $("reasoning"), atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const add = (kind, words) => {
    const p = document.createElement("p");
    if (kind) p.className = kind;
    p.textContent = words;
    box.append(p);
  };
  let kind = "";
  box.replaceChildren();
  for (const part of text.replace(/<[^<>]{0,30}$/, "").split(/(<\/?(?:think|answer|step-\d+-(?:reasoning|answer))>)/)) {
    const step = /^<step-(\d+)-(reasoning|answer)>$/.exec(part);
    if (step) {
      if (step[2] === "reasoning") add("step", "Step " + step[1]);
      kind = step[2] === "answer" ? "said" : "";
    } else if (part === "<answer>") {
      kind = "last";
    } else if (/^<\/(step|answer)/.test(part)) {
      kind = "";
    } else if (part.trim() && part !== "<think>" && part !== "</think>") {
      add(kind, part.trim());
    }
  }
  if (atEnd) box.scrollTop = box.scrollHeight;
}

async function measure() {
  fail("");
  if (!file || !picture) { fail("Choose an image first."); $("file").focus(); return; }
  if (task() !== "detect" && !sizeNow()) { fail("Enter the pixel size in millimetres."); $("pw").focus(); return; }
  running = new AbortController();
  $("go").disabled = true;
  $("stop").hidden = false;
  $("thoughts").hidden = false;
  $("answer").hidden = true;
  showThoughts("");
  let said = "";
  result = null;
  draw();
  say("Measuring …");
  try {
    await ready;
    const reply = await post("v1/measure", question(), running.signal);
    for await (const event of events(reply)) {
      if (event.error) throw new Error(event.error.message);
      if (event.delta !== undefined) {
        showThoughts(said += event.delta);
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
  $("stop").hidden = true;
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
for (const id of ["plane", "modality"]) $(id).addEventListener("change", () => { if (file) change(id === "plane"); });
$("index").addEventListener("input", () => {
  tellSlice();
  change(false, 120);
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (e) => {
    e.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && e.dataTransfer.files[0]) take(e.dataTransfer.files[0]).catch((x) => fail(x.message));
  });
showTask();
fetch("version").then((r) => r.json()).then((v) => {
  $("about").textContent = "medvision " + v.version + " · " + v.device + " · " + v.dtype;
}).catch(() => {});
