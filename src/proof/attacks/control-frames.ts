/** What an attacker says to the control socket to make the daemon end, or to be taken for someone else. */
export function controlFrames(): Readonly<Record<string, readonly Buffer[]>> {
  const line = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);
  const deep = 100_000;
  return {
    'no JSON': [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    'bytes that are no text': [Buffer.from([0xff, 0x00, 0xfe, 0x0a])],
    'a line without end': [Buffer.alloc(5 * 1024 * 1024, 0x61)],
    'half a line': [Buffer.from('{"type":"call","id":1,')],
    'a thousand levels of lists': [Buffer.from(`${'['.repeat(deep)}${']'.repeat(deep)}\n`)],
    'levels in a parameter': [
      Buffer.from(`{"type":"call","id":1,"method":"ls","params":{"a":${'['.repeat(deep)}${']'.repeat(deep)}}}\n`),
    ],
    'a call that there is not': [line({ type: 'call', id: 1, method: 'evaluate', params: {} })],
    'a call named as what every object has': [
      line({ type: 'call', id: 1, method: '__proto__', params: {} }),
      line({ type: 'call', id: 2, method: 'constructor', params: {} }),
      line({ type: 'call', id: 3, method: 'toString', params: {} }),
    ],
    'parameters that change every object': [
      Buffer.from('{"type":"call","id":1,"method":"ls","params":{"__proto__":{"polluted":true}}}\n'),
    ],
    'parameters of other kinds': [
      line({ type: 'call', id: 1, method: 'inspect', params: null }),
      line({ type: 'call', id: 1, method: 'inspect', params: { name: { toString: 1 } } }),
      line({ type: 'call', id: 1, method: 'exec', params: { name: 'x', command: 'sh' } }),
    ],
    'an id of another kind': [line({ type: 'call', id: { a: 1 }, method: 'ls', params: {} })],
    'an answer that nobody asked for': [line({ type: 'answer', id: 7, value: { approved: true } })],
    'to be a caller, twice': [
      line({ type: 'caller', caller: { kind: 'mcp', name: 'x' } }),
      line({ type: 'caller', caller: { kind: 'person' } }),
    ],
    'ten thousand calls at once': [
      Buffer.concat(
        Array.from({ length: 10_000 }, (_, id) => line({ type: 'call', id, method: 'inspect', params: { name: 'none' } })),
      ),
    ],
  };
}
