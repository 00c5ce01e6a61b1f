// A TLS server that reads its certificate at its start and goes on with it: `tls-victim.ts PORT CERTIFICATE KEY reload|cache`.
// On SIGHUP it reads it again, or, as `cache`, does not.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';

const [port, certificate = '', key = '', on] = process.argv.slice(2);
const material = () => ({ cert: readFileSync(certificate), key: readFileSync(key) });
const server = createServer(material(), (socket) => socket.on('error', () => undefined).end('hello\n'));
server.on('tlsClientError', () => undefined);
server.listen(Number(port), '127.0.0.1');
process.on('SIGHUP', () => {
  if (on === 'reload') server.setSecureContext(material());
});
