// Live regions that refresh themselves, and uploads with progress.
// All pages also work without this script, with links and plain forms.
"use strict";

const SECONDS = 2; // between two refreshes
const LONGEST = 60; // seconds between two attempts if the server does not answer
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const HEADERS = { "X-Requested-With": "XMLHttpRequest" }; // keeps flash messages for the reader

const element = (name, given = {}) => Object.assign(document.createElement(name), given);

/* Live regions: an element with an id and the attribute `data-live` (seconds, 2 by default) is
   updated from the same page, fetched again, as long as it has the attribute. */

class Live {
  constructor() {
    this.notice = element("p", { className: "small" });
    this.notice.setAttribute("role", "status");
    this.failures = 0;
    this.timer = null;
    document.addEventListener("visibilitychange", () => this.wait(0));
    this.wait();
  }

  get regions() {
    return [...document.querySelectorAll("[id][data-live]")];
  }

  wait(seconds = this.pause()) {
    clearTimeout(this.timer);
    if (!document.hidden && this.regions.length) {
      this.timer = setTimeout(() => this.look(), 1000 * seconds);
    }
  }

  pause() {
    const wanted = this.regions.map((each) => Number(each.dataset.live) || SECONDS);
    return Math.min(LONGEST, Math.min(...wanted) * 2 ** this.failures);
  }

  async look() {
    try {
      const page = await fetched(location.href);
      this.failures = 0;
      this.say("");
      this.regions.forEach((region) => this.renew(region, page));
    } catch {
      this.failures += 1;
      this.say(`The server does not answer; the next attempt is in ${Math.ceil(this.pause())} s.`);
    }
    this.wait();
  }

  renew(region, page) {
    const now = page.getElementById(region.id);
    if (now) {
      become(region, now);
    } else {
      this.say("This is no longer updated. Reload the page.");
      region.removeAttribute("data-live");
    }
  }

  say(words) {
    if (words && !this.notice.isConnected) {
      this.regions[0].before(this.notice);
    }
    if (this.notice.textContent !== words) {
      this.notice.textContent = words;
    }
  }
}

async function fetched(address) {
  const signal = AbortSignal.timeout(30_000);
  const answer = await fetch(address, { headers: HEADERS, cache: "no-store", signal });
  if (!answer.ok) {
    throw new Error(answer.statusText);
  }
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/* Change only what differs: this keeps focus, selection, scroll positions and opened details, and
   screen readers announce nothing twice. */
function become(old, now) {
  if (old.isEqualNode(now) || old.nodeName === "NOSCRIPT") {
    return;
  }
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) {
    old.replaceWith(document.importNode(now, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = now.data;
  } else {
    takeAttributes(old, now);
    takeChildren(old, now);
  }
}

function takeAttributes(old, now) {
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && name !== "open") {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of now.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
}

function takeChildren(old, now) {
  let at = old.firstChild;
  for (const wanted of now.childNodes) {
    at = meeting(old, at, wanted);
    const next = at ? at.nextSibling : null;
    if (at) {
      become(at, wanted);
    } else {
      old.append(document.importNode(wanted, true));
    }
    at = next;
  }
  removeFrom(at, null);
}

/* Return the child to turn into the wanted one; elements with an id are matched by it. */
function meeting(old, at, wanted) {
  if (!at || !wanted.id || at.id === wanted.id) {
    return at;
  }
  for (let each = at.nextSibling; each; each = each.nextSibling) {
    if (each.id === wanted.id) {
      removeFrom(at, each);
      return each;
    }
  }
  return old.insertBefore(document.importNode(wanted, true), at);
}

function removeFrom(at, end) {
  while (at && at !== end) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/* Uploads: `form[data-upload]` sends its files one after the other. The file field is the last of
   the form. The server answers with the address of the next page, or with an error page. The value
   of the attribute is the next page after several files. */

class Upload {
  constructor(form) {
    this.form = form;
    this.field = form.querySelector('input[type="file"]');
    this.field.multiple = true;
    this.list = element("ul", { className: "uploads" });
    this.said = element("p", { className: "visually-hidden" });
    this.said.setAttribute("role", "status");
    form.append(this.list, this.said);
    form.addEventListener("submit", (event) => this.submit(event));
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      form.addEventListener(name, (event) => this.drag(event));
    }
    addEventListener("beforeunload", (event) => this.busy && event.preventDefault());
  }

  submit(event) {
    event.preventDefault();
    this.sendAll([...this.field.files]);
  }

  drag(event) {
    if (!event.dataTransfer.types.includes("Files")) {
      return;
    }
    event.preventDefault();
    const leaves = event.type === "dragleave" && !this.form.contains(event.relatedTarget);
    this.form.classList.toggle("over", event.type !== "drop" && !leaves);
    if (event.type === "drop") {
      this.sendAll([...event.dataTransfer.files]);
    }
  }

  async sendAll(files) {
    if (this.busy || !files.length) {
      return;
    }
    this.setBusy(true);
    this.list.replaceChildren();
    const lines = files.map((file) => new Line(file, this.list));
    const went = [];
    for (const line of lines) {
      went.push(await line.send(this.form));
      this.said.textContent = `${line.file.name}: ${line.words.textContent}`;
    }
    this.setBusy(false);
    this.field.value = "";
    if (went.every(Boolean)) {
      location.assign(went.length > 1 ? this.form.dataset.upload || went.at(-1) : went[0]);
    }
  }

  setBusy(busy) {
    this.busy = busy;
    this.form.querySelector('button[type="submit"]').disabled = busy;
  }
}

/* A file being sent: its name, a progress bar, a status, and a button to stop it. */
class Line {
  constructor(file, list) {
    this.file = file;
    this.bar = element("progress", { max: 1, value: 0, ariaLabel: `Sending ${file.name}` });
    this.words = element("span", { textContent: "waiting" });
    this.stop = element("button", { type: "button", className: "quiet", textContent: "Stop" });
    this.stop.ariaLabel = `Stop ${file.name}`;
    this.item = element("li");
    this.item.append(element("bdi", { textContent: file.name }), this.bar, this.words);
    list.append(this.item);
  }

  /* Return the address of the next page, or "" if the file did not arrive. */
  async send(form) {
    const answer = await this.posted(form);
    this.bar.remove();
    this.stop.remove();
    if (!answer.ok) {
      this.tell(answer.said, "error");
      return "";
    }
    this.tell("has arrived: ");
    this.words.append(element("a", { href: answer.address, textContent: "show it" }));
    return answer.address;
  }

  posted(form) {
    const request = new XMLHttpRequest();
    const token = form.elements.csrf.value;
    return new Promise((resolve) => {
      request.open("POST", form.action);
      Object.entries(HEADERS).forEach(([name, value]) => request.setRequestHeader(name, value));
      request.setRequestHeader("X-CSRF-Token", token);
      request.responseType = "document";
      request.upload.addEventListener("progress", (event) => this.progress(event));
      request.addEventListener("load", () => resolve(outcome(request)));
      request.addEventListener("error", () => resolve({ said: "The connection was lost." }));
      request.addEventListener("abort", () => resolve({ said: "Stopped: nothing was kept." }));
      this.stop.addEventListener("click", () => request.abort());
      this.item.append(this.stop);
      request.send(body(form, this.file));
    });
  }

  progress({ loaded, total }) {
    this.bar.value = total ? loaded / total : 0;
    const percent = Math.floor(100 * this.bar.value);
    this.tell(`${percent} % · ${size(loaded)} of ${size(total)}`);
    if (loaded === total) {
      this.stop.remove(); // from now on the server may have the whole file
      this.tell("is sent; the server is storing it");
    }
  }

  tell(words, kind = "small") {
    this.words.className = kind;
    this.words.textContent = words;
  }
}

function body(form, file) {
  const data = new FormData(form);
  const name = form.querySelector('input[type="file"]').name;
  data.delete(name);
  data.append(name, file); // as the last part: the server needs all other fields first
  return data;
}

function outcome(request) {
  const page = request.response;
  if (request.status < 400) {
    return { ok: true, address: request.responseURL };
  }
  const said = page ? [...page.querySelectorAll("[role=alert], [role=alert] ~ .hint")] : [];
  const words = said.map((each) => each.textContent.trim()).join("; ");
  return { said: words || `The server answered ${request.status}: try again.` };
}

function size(bytes) {
  const unit = bytes ? Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${(bytes / 1024 ** unit).toFixed(unit ? 1 : 0)} ${UNITS[unit]}`;
}

new Live();
document.querySelectorAll("form[data-upload]").forEach((form) => new Upload(form));
