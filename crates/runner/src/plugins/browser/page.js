(op, first, second) => {
  const MOST = 10000, TEXT = 30000, PROPS = 2000;
  const documents = (from, prefix, dx, dy, depth, each) => {
    each(from, prefix, dx, dy);
    if (depth > 4) return;
    let n = 0;
    for (const frame of from.querySelectorAll('iframe, frame')) {
      let inside = null;
      try { inside = frame.contentDocument; } catch { inside = null; }
      if (!inside || n > 25) continue;
      const box = frame.getBoundingClientRect();
      const letter = String.fromCharCode(97 + n++);
      documents(inside, prefix + letter, dx + box.x + frame.clientLeft, dy + box.y + frame.clientTop, depth + 1, each);
    }
  };
  const find = (bid) => {
    let found = null;
    documents(document, '', 0, 0, 0, (doc, prefix, dx, dy) => {
      if (found) return;
      const element = doc.querySelector(`[bid="${CSS.escape(bid)}"]`);
      if (element) found = { element, dx, dy };
    });
    return found;
  };
  const mark = () => {
    let count = 0;
    documents(document, '', 0, 0, 0, (doc, prefix) => {
      const taken = new Set();
      let next = 1;
      const fresh = [];
      for (const element of doc.querySelectorAll('*')) {
        if (count++ > MOST) break;
        const bid = element.getAttribute('bid');
        const fits = bid !== null && bid.startsWith(prefix) && /^[0-9]+$/.test(bid.slice(prefix.length)) && !taken.has(bid);
        if (!fits) { fresh.push(element); continue; }
        taken.add(bid);
        next = Math.max(next, Number(bid.slice(prefix.length)) + 1);
      }
      for (const element of fresh) element.setAttribute('bid', prefix + next++);
    });
  };
  const clickable = (element, style) =>
    element.matches('a[href], button, input, select, textarea, summary, label, option, [onclick], [role=button], [role=link], [role=tab], [role=menuitem], [role=checkbox], [contenteditable=true]')
    || (style.cursor === 'pointer');
  const properties = () => {
    const all = {};
    let count = 0;
    documents(document, '', 0, 0, 0, (doc, prefix, dx, dy) => {
      const view = doc.defaultView;
      for (const element of doc.querySelectorAll('[bid]')) {
        if (count >= PROPS) return;
        const box = element.getBoundingClientRect();
        const style = view.getComputedStyle(element);
        const has = box.width > 0 && box.height > 0 && style.visibility !== 'hidden' && style.display !== 'none';
        const x = box.x + dx, y = box.y + dy;
        const wide = Math.max(0, Math.min(x + box.width, innerWidth) - Math.max(x, 0));
        const high = Math.max(0, Math.min(y + box.height, innerHeight) - Math.max(y, 0));
        const visibility = has ? (wide * high) / (box.width * box.height) : 0;
        if (!has && !clickable(element, style)) continue;
        count++;
        all[element.getAttribute('bid')] = {
          bbox: has ? [x, y, box.width, box.height].map((n) => Math.round(n * 10) / 10) : null,
          clickable: clickable(element, style),
          visibility: Math.round(visibility * 100) / 100,
          set_of_marks: has && clickable(element, style),
        };
      }
    });
    return all;
  };
  const text = () => {
    let out = '';
    const SKIP = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'SVG', 'HEAD', 'CANVAS']);
    const BLOCK = new Set(['P', 'DIV', 'SECTION', 'ARTICLE', 'HEADER', 'FOOTER', 'MAIN', 'NAV', 'ASIDE', 'UL', 'OL', 'TABLE', 'FORM', 'BLOCKQUOTE', 'FIGURE', 'DL', 'DT', 'DD', 'FIELDSET', 'DETAILS']);
    const fresh = () => { if (out && !out.endsWith('\n')) out += '\n'; };
    const gap = () => { fresh(); if (out && !out.endsWith('\n\n')) out += '\n'; };
    const walk = (node, pre) => {
      if (out.length > TEXT) return;
      if (node.nodeType === 3) {
        let value = pre ? node.nodeValue : node.nodeValue.replace(/\s+/g, ' ');
        if (!pre && /(^|\s)$/.test(out)) value = value.replace(/^ /, '');
        out += value;
        return;
      }
      if (node.nodeType !== 1 || SKIP.has(node.tagName.toUpperCase())) return;
      const style = node.ownerDocument.defaultView.getComputedStyle(node);
      if (style.display === 'none' || style.visibility === 'hidden') return;
      const children = () => { for (const child of (node.shadowRoot || node).childNodes) walk(child, pre); };
      const tag = node.tagName;
      if (/^H[1-6]$/.test(tag)) { gap(); out += '#'.repeat(Number(tag[1])) + ' '; children(); gap(); }
      else if (tag === 'BR') out += '\n';
      else if (tag === 'HR') { gap(); out += '---'; gap(); }
      else if (tag === 'LI') { fresh(); out += '- '; children(); fresh(); }
      else if (tag === 'PRE') { gap(); out += '```\n'; pre = true; children(); fresh(); out += '```'; gap(); }
      else if (tag === 'TR') { fresh(); out += '| '; children(); fresh(); }
      else if (tag === 'TD' || tag === 'TH') { children(); out += ' | '; }
      else if (tag === 'IMG') { if (node.alt) out += `![${node.alt}]`; }
      else if (tag === 'A' && node.href && /^(https?|mailto|file):/.test(node.href)) {
        const before = out.length;
        out += '[';
        children();
        if (out.length > before + 1) out += `](${node.href.slice(0, 500)})`; else out = out.slice(0, before);
      }
      else if (tag === 'IFRAME' || tag === 'FRAME') {
        let inside = null;
        try { inside = node.contentDocument; } catch { inside = null; }
        if (inside && inside.body) { gap(); walk(inside.body, false); gap(); }
      }
      else if (tag === 'INPUT' || tag === 'TEXTAREA') { if (node.type !== 'hidden' && node.type !== 'password' && node.value) out += ` ${node.value} `; }
      else if (BLOCK.has(tag)) { gap(); children(); gap(); }
      else children();
    };
    if (document.body) walk(document.body, false);
    else if (document.documentElement) out = document.documentElement.textContent || '';
    out = out.replace(/[ \t]+\n/g, '\n').replace(/\n{3,}/g, '\n\n').trim();
    return out.length > TEXT ? out.slice(0, TEXT) + '\n[… more of the page is left out]' : out;
  };
  const focused = () => {
    let element = document.activeElement;
    for (let depth = 0; depth < 5 && element; depth++) {
      let inside = null;
      try { inside = element.contentDocument; } catch { inside = null; }
      if (!inside || !inside.activeElement) break;
      element = inside.activeElement;
    }
    return (element && element.getAttribute && element.getAttribute('bid')) || '';
  };
  if (op === 'see') {
    mark();
    return { url: location.href, title: document.title, text: text(), focused: focused(), properties: properties() };
  }
  if (op === 'state') return document.readyState;
  const found = find(String(first));
  if (!found) return { error: `There is no element with the number ${JSON.stringify(String(first).slice(0, 40))} on the page.` };
  const { element, dx, dy } = found;
  if (op === 'point') {
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const again = find(String(first));
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) return { error: `The element ${first} can't be seen.` };
    if (element.disabled) return { error: `The element ${first} is disabled.` };
    return { x: box.x + again.dx + box.width / 2, y: box.y + again.dy + box.height / 2 };
  }
  if (op === 'focus') { element.focus(); return {}; }
  if (op === 'select') {
    element.focus();
    if (element.readOnly || element.disabled) return { error: `The element ${first} can't be filled.` };
    if ('value' in element && typeof element.select === 'function') { element.select(); return { clear: element.value !== '' }; }
    if (element.isContentEditable) {
      const range = element.ownerDocument.createRange();
      range.selectNodeContents(element);
      const selection = element.ownerDocument.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      return { clear: element.textContent !== '' };
    }
    return { error: `The element ${first} is no field for text.` };
  }
  if (op === 'set') {
    const proto = Object.getPrototypeOf(element);
    const own = Object.getOwnPropertyDescriptor(proto, 'value');
    if (own && own.set) own.set.call(element, second); else element.value = second;
    element.dispatchEvent(new Event('input', { bubbles: true }));
    element.dispatchEvent(new Event('change', { bubbles: true }));
    return { same: element.value === second };
  }
  if (op === 'kind') return { tag: element.tagName, type: element.type || '' };
  if (op === 'changed') { element.dispatchEvent(new Event('change', { bubbles: true })); return {}; }
  if (op === 'options') {
    if (element.tagName !== 'SELECT') return { error: `The element ${first} is no list of options.` };
    const wanted = second.map(String);
    const all = [...element.options];
    const missing = wanted.find((w) => !all.some((o) => o.value === w || o.label.trim() === w));
    if (missing !== undefined) return { error: `There is no option ${JSON.stringify(missing)}; there are: ${all.slice(0, 50).map((o) => JSON.stringify(o.label)).join(', ')}.` };
    if (!element.multiple && wanted.length > 1) return { error: `Of the element ${first} one option can be chosen.` };
    for (const option of all) option.selected = wanted.includes(option.value) || wanted.includes(option.label.trim());
    element.dispatchEvent(new Event('input', { bubbles: true }));
    element.dispatchEvent(new Event('change', { bubbles: true }));
    return {};
  }
  return { error: `There is no ${op}.` };
}
