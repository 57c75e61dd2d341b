// The page of /docs: lists the operations of /openapi.json and sends requests.
// No library, no foreign host; text goes into the page as text only.
'use strict';

const METHODS = ['get', 'post', 'patch', 'delete'];
const LIMITS = {
  minimum: 'at least', maximum: 'at most', multipleOf: 'a multiple of', minLength: 'characters: at least', maxLength: 'characters: at most',
  minItems: 'entries: at least', maxItems: 'entries: at most', pattern: 'matches',
};

const ANSWERS = { 200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'Done; the answer has no body' };

function el(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props || {});
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function deref(doc, s) {
  while (s && s.$ref) {
    s = s.$ref.split('/').slice(1).reduce((at, k) => at[k], doc);
  }
  return s || {};
}

function typeName(doc, schema) {
  const s = deref(doc, schema);
  let name = Array.isArray(s.type) ? s.type.join(' | ') : s.type || 'any';
  if (schema && schema.$ref) name = schema.$ref.split('/').pop() + (name.includes('null') ? ' | null' : '');
  if (s.items) name = 'array of ' + typeName(doc, s.items);
  if (s.format) name += ' (' + s.format + ')';
  return name;
}

function limits(s) {
  const parts = [];
  if (s.enum) parts.push('one of ' + s.enum.join(', '));
  if (s.items && s.items.enum) parts.push('each one of ' + s.items.enum.join(', '));
  for (const [k, words] of Object.entries(LIMITS)) {
    if (s[k] !== undefined) parts.push(words + ' ' + s[k]);
  }
  if (s.default !== undefined) parts.push('default ' + JSON.stringify(s.default));
  return parts.join('; ');
}

function fieldsTable(doc, schema, prefix, depth) {
  const body = el('tbody');
  const walk = (s, path, level) => {
    s = deref(doc, s);
    if (s.items) return walk(s.items, path + '[]', level);
    for (const [name, p] of Object.entries(s.properties || {})) {
      const full = path ? path + '.' + name : name;
      const d = deref(doc, p);
      const must = (s.required || []).includes(name) ? '' : 'optional';
      body.append(el('tr', {},
        el('td', {}, el('code', { textContent: full })),
        el('td', { textContent: [typeName(doc, p), must].filter(Boolean).join(', ') }),
        el('td', { textContent: [p.description || d.description, limits(d)].filter(Boolean).join('. ') })));
      if (level < depth) walk(p, full, level + 1);
    }
  };
  walk(schema, prefix, 0);
  return el('table', {}, body);
}

function sample(doc, schema) {
  const s = deref(doc, schema);
  if (s.examples && s.examples.length) return s.examples[0];
  if (s.enum) return s.enum[0];
  const type = Array.isArray(s.type) ? s.type[0] : s.type;
  if (type === 'object') {
    const out = {};
    for (const [name, p] of Object.entries(s.properties || {})) {
      if ((s.required || []).includes(name) || deref(doc, p).examples) out[name] = sample(doc, p);
    }
    return out;
  }
  if (type === 'array') return [];
  if (type === 'boolean') return true;
  if (type === 'integer' || type === 'number') return s.minimum || 0;
  if (s.format === 'date-time') return new Date().toISOString();
  return '';
}

function authorization(scheme) {
  const value = (id) => document.getElementById(id).value.trim();
  if (scheme === 'apiKey') {
    const bytes = new TextEncoder().encode(value('apiKeyName') + ':' + value('apiKeySecret'));
    return 'Basic ' + btoa(String.fromCharCode(...bytes));
  }
  return 'Bearer ' + value(scheme);
}

function tryIt(doc, path, method, op) {
  const form = el('form', { autocomplete: 'off' });
  const inputs = (op.parameters || []).map((p) => {
    const s = deref(doc, p.schema);
    const input = s.enum
      ? el('select', {}, el('option', { value: '', textContent: '' }), ...s.enum.map((v) => el('option', { value: v, textContent: v })))
      : el('input', { placeholder: String((s.examples || [''])[0]), spellcheck: false });
    form.append(el('div', { className: 'row' },
      el('label', {}, el('code', { textContent: p.name }), ' ', el('span', { className: 'muted', textContent: p.in })),
      input, el('span', { className: 'muted', textContent: p.description || '' })));
    return { p, input };
  });
  let body = null;
  if (op.requestBody) {
    const schema = op.requestBody.content['application/json'].schema;
    body = el('textarea', { value: JSON.stringify(sample(doc, schema), null, 2), spellcheck: false });
    form.append(body);
  }
  const answer = el('pre', { hidden: true });
  form.append(el('button', { textContent: 'Send' }), answer);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    const headers = { Authorization: authorization(Object.keys(op.security[0])[0]) };
    for (const { p, input } of inputs) {
      if (p.in === 'path') url = url.replace('{' + p.name + '}', encodeURIComponent(input.value));
      else if (input.value && p.in === 'query') query.set(p.name, input.value);
      else if (input.value && p.in === 'header') headers[p.name] = input.value;
    }
    if (query.size) url += '?' + query;
    const init = { method: method.toUpperCase(), headers, credentials: 'omit' };
    if (body && body.value.trim()) {
      init.body = body.value;
      headers['Content-Type'] = 'application/json';
    }
    answer.hidden = false;
    answer.textContent = '…';
    try {
      const res = await fetch(url, init);
      const text = await res.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it came */ }
      const head = ['X-Request-Id', 'ETag', 'Retry-After'].filter((h) => res.headers.get(h)).map((h) => h + ': ' + res.headers.get(h));
      answer.textContent = [init.method + ' ' + url, res.status + ' ' + res.statusText, ...head, '', shown].join('\n');
    } catch (err) {
      answer.textContent = String(err);
    }
  });
  return form;
}

function operation(doc, path, method, op) {
  const details = el('details', { id: op.operationId },
    el('summary', {}, el('span', { className: 'method', textContent: method.toUpperCase() }),
      el('code', { textContent: path }), el('span', { className: 'muted', textContent: op.summary || '' })));
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    const box = el('div', {}, el('p', { textContent: op.description || '' }));
    if (op.requestBody) {
      box.append(el('h4', { textContent: 'Body' }), fieldsTable(doc, op.requestBody.content['application/json'].schema, '', 1));
    }
    const rows = el('tbody');
    for (const [status, r] of Object.entries(op.responses)) {
      const links = status < '400' ? [] : Object.keys(Object.values(r.content || {})[0]?.examples || {})
        .map((code) => el('div', {}, el('a', { href: '#' + code, textContent: code })));
      rows.append(el('tr', {}, el('td', { textContent: status }),
        links.length ? el('td', {}, ...links) : el('td', { textContent: ANSWERS[status] || r.description })));
    }
    box.append(el('h4', { textContent: 'Answers' }), el('table', {}, rows));
    const ok = Object.entries(op.responses).find(([status]) => status < '300');
    const schema = ok && ok[1].content && ok[1].content['application/json'].schema;
    if (schema) box.append(el('h4', { textContent: typeName(doc, schema) }), fieldsTable(doc, schema, '', 1));
    box.append(el('h4', { textContent: 'Try it' }), tryIt(doc, path, method, op));
    details.append(box);
  });
  return details;
}

function errorsTable(doc) {
  const problems = Object.entries(doc.components.examples).filter(([code, e]) => e.value.errorCode === code);
  const rows = problems.map(([code, e]) => el('tr', { id: code },
    el('td', {}, el('code', { textContent: code })), el('td', { textContent: String(e.value.status) }), el('td', { textContent: e.summary })));
  return el('table', {}, el('tbody', {}, ...rows));
}

async function main() {
  const res = await fetch('/openapi.json', { credentials: 'omit' });
  const doc = await res.json();
  document.getElementById('about').textContent = doc.info.description;
  const groups = doc.tags.map((tag) => {
    const list = [];
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const method of METHODS) {
        if (item[method] && item[method].tags.includes(tag.name)) list.push(operation(doc, path, method, item[method]));
      }
    }
    return el('section', {}, el('h2', { textContent: tag.name }), el('p', { className: 'muted', textContent: tag.description }), ...list);
  });
  document.getElementById('operations').replaceChildren(...groups);
  document.getElementById('errors').append(errorsTable(doc));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

main().catch((err) => {
  document.getElementById('operations').textContent = 'Cannot read /openapi.json: ' + err;
});
