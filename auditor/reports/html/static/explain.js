// One finding in full: what it means, what would stop it, and how to check it by hand.

// A name as a POSIX shell reads it; names with escaped bytes as bash reads them.
function quoted(name) {
  return name.includes("\\") ? `$'${name.replaceAll("'", "\\'")}'` : `'${name.replaceAll("'", "'\\''")}'`;
}

const BEGINNINGS = { "aescbc": "k8s:enc:aescbc:v1:", "aesgcm": "k8s:enc:aesgcm:v1:", "secretbox": "k8s:enc:secretbox:v1:", "kms v1": "k8s:enc:kms:v1:", "kms v2": "k8s:enc:kms:v2:" };

// How to look at the first bytes of a value that hold nothing of its content; null where there are none to look at.
function byHand(cell, evidence) {
  const { offset, size, source, finding, provider, state } = Object.fromEntries(
    ["offset", "size", "source", "finding", "provider", "state"].map((name) => [name, cell(name)]),
  );
  if (typeof offset !== "number" || typeof size !== "number" || !source) return null;
  // a file of a data directory or a container is named beside the whole, as on the command line
  const whole = cell("exhibit") || evidence;
  const show = `etcd-auditor show ${quoted(whole)} --at ${offset}${whole === source ? "" : ` --source ${quoted(source)}`}`;
  const line = (count) => `dd if=${quoted(source)} bs=1 skip=${offset} count=${count} status=none | od -c`;
  if (finding === "copied-value" || finding === "key-present") {
    return { show, line: line(size), said: "This prints the value itself: run it where nobody looks on." };
  }
  if (state.split(";").includes("head-lost")) {
    return { show, line: line(size), said: "The beginning of this value is lost, and what is left may be its content: run it where nobody looks on." };
  }
  const beginning = BEGINNINGS[provider];
  if (beginning) {
    const count = Math.min(size, beginning.length + String(cell("key_name")).length);
    return { show, line: line(count), said: `It shows ${beginning} and the name of the key.` };
  }
  if (cell("encoding") === "protobuf") return { show, line: line(Math.min(size, 4)), said: "It shows k8s and a zero byte: an object in protobuf, not encrypted." };
  if (cell("encoding") === "json") return { show, line: line(Math.min(size, 1)), said: "It shows a brace: an object in JSON, not encrypted." };
  if (cell("encoding") === "cbor") return { show, line: line(Math.min(size, 3)), said: "It shows the bytes 331 331 367: an object in CBOR, not encrypted." };
  return { show, line: line(Math.min(size, 4)), said: "It shows how the value begins." };
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function explained(columns, row, texts) {
  const cell = (name) => columns.get(name)?.cell(row) ?? "";
  const facts = element("dl");
  const fact = (name, ...content) => facts.append(element("dt", name), element("dd", "", ...content));
  const place = texts.places[cell("place")];
  const plaintext = cell("finding") === "plaintext" && place;
  for (const finding of String(cell("finding")).split(";")) {
    if (!texts.findings[finding]) continue;
    const [means, stops] = texts.findings[finding];
    fact("What it means", means);
    if (plaintext) fact("Why it is there", place[0]);
    fact("What would stop it", stops);
    if (plaintext) fact("To keep it out of the next backup", place[1]);
  }
  const check = byHand(cell, texts.evidence);
  if (check) fact("Check it by hand", element("code", check.show), " ", "On every system.", element("code", check.line), " ", check.said);
  for (const name of columns.keys()) if (cell(name) !== "") fact(name, element("span", String(cell(name))));
  const made = element("div", "", facts);
  made.className = "explained";
  return made;
}
