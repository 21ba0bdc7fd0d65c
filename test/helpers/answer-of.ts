import { connect } from 'node:net';

/** All that is said on a socket until it is closed: of a path, or of a port of this host. */
export async function answerOf(to: string | number, question = ''): Promise<string> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to);
  socket.on('error', () => undefined);
  socket.write(question);
  let said = '';
  socket.on('data', (piece: Buffer) => {
    said += piece.toString('utf8');
  });
  // Being cut off may be seen as a reset, of which once() would make a failure.
  await new Promise((done) => socket.once('close', done));
  return said;
}
