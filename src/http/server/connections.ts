/**
 * Tracks open connections. If there are too many, closes the oldest one without an admitted request, else the oldest
 * idle one, else one whose client reads slowly. If there is none of these, refuses the new connection.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isSlow } from './respond.ts';

export interface Connection {
  /** Number of requests with wrong credentials on this connection. */
  failures: number;
}

export interface Connections {
  /** Adds an accepted connection. Returns false if there are too many connections and none can be closed. */
  add(raw: Socket): boolean;
  /** Registers `secure` as the TLS socket of the connection `raw`: requests on `secure` belong to it. */
  alias(secure: Socket, raw: Socket): void;
  /** Records a new request. Returns undefined if the previous one is unanswered or the connection is closed. */
  begin(socket: Socket, response: ServerResponse): Connection | undefined;
  /** Returns whether the connection has a request whose response is not complete. */
  busy(socket: Socket): boolean;
  /** Records that the current request was admitted. */
  letIn(connection: Connection): void;
  /** Closes connections without a request immediately, and the others after their responses. */
  close(): void;
  closeNow(): void;
}

interface Entry extends Connection {
  raw: Socket;
  /** Response to the current request. Undefined between requests. */
  response: ServerResponse | undefined;
  /** The set that contains the connection: `waiting`, `idle` or `answering`. All are ordered, oldest first. */
  among: Set<Entry>;
}

/** Allows at most `ceiling` connections. Calls `evicted` after closing one to make room for a new one. */
export function createConnections(
  ceiling: number,
  evicted: () => void,
  slow: (response: ServerResponse) => boolean = isSlow,
): Connections {
  const entries = new WeakMap<Socket, Entry>();
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
      entries.set(raw, entry);
      raw.once('close', () => entry.among.delete(entry));
      return true;
    },
    alias: (secure, raw) => {
      const entry = entries.get(raw);
      if (entry !== undefined) entries.set(secure, entry);
    },
    begin: (socket, response) => {
      const entry = entries.get(socket);
      if (entry === undefined || entry.response !== undefined || entry.raw.destroyed) return undefined;
      entry.response = response;
      response.once('close', () => {
        entry.response = undefined;
        if (closing) socket.end();
        if (entry.among === answering && !entry.raw.destroyed) move(entry, idle);
      });
      return entry;
    },
    busy: (socket) => entries.get(socket)?.response !== undefined,
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
