/**
 * The connections there are, and which has to go when there are too many. First the one that has waited longest without
 * a request that was let in (slow, silent, guessing clients), then the one that has been idle longest (its next request
 * finds a new connection), then one whose client is slow to take its answer. Others that are being answered stay, because
 * an answer is whole or an error: then the newcomer is refused.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isSlow } from './respond.ts';

export interface Connection {
  /** Requests of it that were not let in. */
  failures: number;
}

export interface Connections {
  /** Takes an accepted connection; false when none of the others could make room. */
  add(raw: Socket): boolean;
  /** What comes on `secure` from now on belongs to the connection of `raw`. */
  alias(secure: Socket, raw: Socket): void;
  /** A request has come. Undefined: leave it, the one before has no answer yet (nobody needs pipelining). */
  begin(socket: Socket, response: ServerResponse): Connection | undefined;
  /** Whether there is a request without its whole answer. */
  busy(socket: Socket): boolean;
  /** The request under way has been let in. */
  letIn(connection: Connection): void;
  /** Closes those without a request under way at once, the others behind their answers. */
  close(): void;
  closeNow(): void;
}

interface Entry extends Connection {
  raw: Socket;
  /** Of the request that has no whole answer yet. */
  response: ServerResponse | undefined;
  /** Those of its like, in the order in which they came to be so. */
  among: Set<Entry>;
}

/** `evicted` is called for each that has to make room. */
export function createConnections(
  ceiling: number,
  evicted: () => void,
  slow: (response: ServerResponse) => boolean = isSlow,
): Connections {
  const known = new WeakMap<Socket, Entry>();
  const waiting = new Set<Entry>();
  const idle = new Set<Entry>();
  const answering = new Set<Entry>();
  let closing = false;

  const move = (entry: Entry, to: Set<Entry>) => {
    entry.among.delete(entry);
    entry.among = to;
    to.add(entry);
  };

  const makeRoom = (): boolean => {
    const slowOne = () => [...answering].find(({ response }) => response !== undefined && slow(response));
    const victim = oldest(waiting) ?? oldest(idle) ?? slowOne();
    if (victim === undefined) return false;
    victim.among.delete(victim);
    victim.raw.destroy();
    evicted();
    return true;
  };

  return {
    add: (raw) => {
      if (waiting.size + idle.size + answering.size >= ceiling && !makeRoom()) return false;
      const entry: Entry = { raw, response: undefined, failures: 0, among: waiting };
      waiting.add(entry);
      known.set(raw, entry);
      raw.once('close', () => entry.among.delete(entry));
      return true;
    },
    alias: (secure, raw) => {
      const entry = known.get(raw);
      if (entry !== undefined) known.set(secure, entry);
    },
    begin: (socket, response) => {
      const entry = known.get(socket);
      if (entry === undefined || entry.response !== undefined || entry.raw.destroyed) return undefined;
      entry.response = response;
      response.once('close', () => {
        entry.response = undefined;
        if (closing) socket.end();
        if (entry.among === answering && !entry.raw.destroyed) move(entry, idle);
      });
      return entry;
    },
    busy: (socket) => known.get(socket)?.response !== undefined,
    letIn: (connection) => {
      const entry = connection as Entry;
      if (!entry.raw.destroyed) move(entry, answering);
    },
    close: () => {
      closing = true;
      for (const { raw, response } of [...waiting, ...idle]) if (response === undefined) raw.destroy();
    },
    closeNow: () => {
      for (const { raw } of [...waiting, ...idle, ...answering]) raw.destroy();
    },
  };
}

function oldest(set: ReadonlySet<Entry>): Entry | undefined {
  return set.values().next().value;
}
