import { createHash } from 'node:crypto';

import { requestText } from '../clients/request-text.ts';

/** Switches of a connection to another protocol, wrongly requested or wrongly answered (RFC 9110 section 7.8, RFC 6455). */
export interface SwitchTry {
  /** the request, whole */
  readonly bytes: string;
  /** what the server answers */
  readonly answer: string;
}

const webSocketKey = 'dGhlIHNhbXBsZSBub25jZQ==';
const acceptValue = createHash('sha1').update(`${webSocketKey}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

const webSocketLines = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${webSocketKey}`,
];

function switched(...lines: readonly string[]): string {
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

const proved = switched('Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptValue}`);

export interface SwitchParts {
  readonly host: string;
  readonly target: string;
}

/** The legal twin. */
export function provedSwitch({ host, target }: SwitchParts): SwitchTry {
  return { bytes: requestText({ host, target, lines: webSocketLines, isLast: false }), answer: proved };
}

export function wrongSwitches({ host, target }: SwitchParts): Readonly<Record<string, SwitchTry>> {
  const ask = (lines: readonly string[], method = 'GET', body?: string): string =>
    requestText({ host, target, method, lines, body, isLast: false });
  const protocols = ['h2c', 'TLS/1.0', 'foo', 'websocket, h2c', 'h2c, websocket', 'HTTP/2.0', 'connect-udp'];
  const without = (name: string): string[] => webSocketLines.filter((line) => !line.startsWith(name));
  const answers = {
    'no accept value': switched('Connection: Upgrade', 'Upgrade: websocket'),
    'a wrong accept value': switched('Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${'A'.repeat(27)}=`),
    'another protocol': switched('Connection: Upgrade', 'Upgrade: h2c', `Sec-WebSocket-Accept: ${acceptValue}`),
    'no protocol': switched('Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptValue}`),
    'an extension': proved.replace('\r\n\r\n', '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'),
    'a subprotocol': proved.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: raw\r\n\r\n'),
    'a success': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'a success without an end': 'HTTP/1.1 200 OK\r\n\r\n',
  };
  return {
    ...Object.fromEntries(
      protocols.map((protocol) => [
        `a switch to ${protocol}`,
        {
          bytes: ask(['Connection: Upgrade', `Upgrade: ${protocol}`, ...without('Upgrade').slice(1)]),
          answer: switched(
            'Connection: Upgrade',
            `Upgrade: ${protocol.split(',', 1)[0] ?? ''}`,
            `Sec-WebSocket-Accept: ${acceptValue}`,
          ),
        },
      ]),
    ),
    'a switch without a key': { bytes: ask(without('Sec-WebSocket-Key')), answer: proved },
    'a switch of another version': {
      bytes: ask([...without('Sec-WebSocket-Version'), 'Sec-WebSocket-Version: 8']),
      answer: proved,
    },
    'a switch by POST': { bytes: ask(webSocketLines, 'POST', ''), answer: proved },
    'a switch with content': { bytes: ask(webSocketLines, 'GET', 'hello'), answer: proved },
    ...Object.fromEntries(
      Object.entries(answers).map(([name, answer]) => [`a switch answered with ${name}`, { bytes: ask(webSocketLines), answer }]),
    ),
    'a switch nobody asked for': { bytes: ask([]), answer: proved },
  };
}
