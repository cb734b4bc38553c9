// Exits with 0 if the agent answers. For the image's HEALTHCHECK, because the image has neither a shell nor curl.
//
// Any answer is enough, even a TLS alert, 401 or 429, because it shows that the agent is alive. Exits with 1 if nothing
// answers in time, or if the port is closed. Uses the port of the agent's variable; it does not know a port that a flag or
// the config file sets.
import { connect } from 'node:net';

const TIMEOUT_MS = 4000;
const address = process.env.FTRACE_EXPORTER_WEB_LISTEN_ADDRESS || ':10743';
const colon = address.lastIndexOf(':');
const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
const loopback = host === '::' ? '::1' : '127.0.0.1';
const isEverywhere = ['', '0.0.0.0', '::'].includes(host);

function end(status, word) {
  process.stdout.write(`${word}\n`);
  process.exit(status);
}

const socket = connect({ host: isEverywhere ? loopback : host, port: Number(address.slice(colon + 1)) });
socket.setTimeout(TIMEOUT_MS, () => end(1, `no answer within ${TIMEOUT_MS} ms`));
socket.once('connect', () => socket.write('GET /healthz HTTP/1.0\r\n\r\n'));
socket.once('data', (data) => end(0, `answered: ${JSON.stringify(data.toString('latin1', 0, 20))}`));
socket.once('end', () => end(0, 'closed by the agent'));
socket.once('error', (error) => end(error.code === 'ECONNRESET' ? 0 : 1, error.message));
