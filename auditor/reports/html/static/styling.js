// Bokeh makes style elements of its own, and the page's policy lets in only those with its nonce.
{
  const nonce = document.querySelector("meta[name=nonce]").content;
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const made = create(name, options);
    if (String(name).toLowerCase() === "style") made.nonce = nonce;
    return made;
  };
}
