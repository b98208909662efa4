
// Keeps the page current: asks for its own address again and changes in place what has changed, so that focus, scroll
// position, selection and opened parts stay. Once no answer comes, it says so: an old figure must not look current.
const REFRESH_MS = 1000 * document.documentElement.dataset.refresh;
const MISSED_MS = 3 * REFRESH_MS;
const TYPING_MS = 200;

let rendered, request, refreshing, typing;
stamp(document);

// The server may have kept the page for a while before it sent it.
function stamp(page) {
  const age = 1000 * page.documentElement.dataset.age;
  rendered = { monotonic: performance.now() - age, wall: Date.now() - age };
}

// The one clock may stand still while the machine sleeps, the other may be set back.
function age() { return Math.max(performance.now() - rendered.monotonic, Date.now() - rendered.wall); }

async function refresh() {
  clearTimeout(refreshing);
  request?.abort();
  const mine = request = new AbortController();
  const deadline = setTimeout(() => mine.abort(), REFRESH_MS);
  let problem = "";
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: mine.signal });
    const html = await response.text();
    if (request !== mine) return;
    const page = new DOMParser().parseFromString(html, "text/html");
    if (!response.ok) problem = `answers with HTTP status ${response.status}`;
    else if (!page.getElementById("as-of")) problem = "does not answer; something else does";
    else show(page);
  } catch {
    problem = "does not answer";
  } finally {
    clearTimeout(deadline);
  }
  if (request !== mine) return;
  if (problem) lose(problem);
  if (!document.hidden) refreshing = setTimeout(refresh, REFRESH_MS);
}

function show(page) {
  const focused = document.activeElement;
  document.title = page.title;
  morph(document.body, page.body);
  stamp(page);
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function lose(problem) {
  const time = document.getElementById("as-of").textContent;
  const words = `Not current: the exporter ${problem}. What this page shows is as of ${time}.`;
  const line = document.getElementById("lost");
  if (line.textContent !== words) line.textContent = words;
  line.hidden = false;
  document.body.className = "lost";
  if (!document.title.startsWith("Not current")) document.title = `Not current – ${document.title}`;
}

function expire() {
  if (age() > MISSED_MS && document.getElementById("lost").hidden) lose("has not answered for a while");
  for (const part of document.querySelectorAll("[data-valid]")) {
    part.classList.toggle("expired", age() > 1000 * part.dataset.valid);
  }
}

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map([...old.children].filter(key).map(child => [key(child), child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const alike = next && !key(next) && next.nodeName === child.nodeName ? next : null;
    const same = key(child) ? keyed.get(key(child)) : alike;
    if (same === next && next) next = next.nextSibling;
    else old.insertBefore(same ?? child, next);
    if (same) morph(same, child);
  }
  while (next) { const gone = next; next = next.nextSibling; gone.remove(); }
}

// Keys that come from names begin with what is named: an account may be called like the id of another part.
function key(node) { return node.dataset?.key ?? node.id; }

function go(address) {
  history.replaceState(null, "", address);
  refresh();
}

function goByForm() {
  clearTimeout(typing);
  const asked = new URLSearchParams(new FormData(document.forms.query));
  for (const [name, value] of [...asked]) if (!value) asked.delete(name);
  go(`/?${asked}`);
}

document.addEventListener("input", event => {
  clearTimeout(typing);
  typing = setTimeout(goByForm, event.target.name === "q" ? TYPING_MS : 0);
});
document.addEventListener("submit", event => { event.preventDefault(); goByForm(); });
document.addEventListener("click", event => {
  const link = event.target.closest("a[data-live]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const asked = new URL(link.href).searchParams;
  for (const name of ["q", "sort"]) document.forms.query.elements[name].value = asked.get(name) ?? "";
  go(link.href);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(refreshing);
    const running = request;
    request = null;
    running?.abort();
  } else {
    expire();
    refresh();
  }
});
addEventListener("pageshow", event => { if (event.persisted) { expire(); refresh(); } });
setInterval(expire, 1000);
refreshing = setTimeout(refresh, REFRESH_MS);
