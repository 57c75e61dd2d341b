// Takes away what Node 18 does not have and the type checker knows, so that
// every newer Node shows whether the client needs it: node --import node18.js.
const newer: [object, string][] = [
  [AbortSignal, 'any'],
  [globalThis, 'crypto'],
  [globalThis, 'navigator'],
  [globalThis, 'WebSocket'],
];
for (const [from, name] of newer) {
  if (!Reflect.deleteProperty(from, name) || name in from) throw new Error(`${name} stays`);
}

export {};
