/** Reads the id of this installation (machine-id(5)). A container must mount the node's /etc/machine-id. */
import { readFileSync } from 'node:fs';

const FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/** Returns 32 hexadecimal digits, or undefined if no file contains them. */
export function machineId(files: readonly string[] = FILES): string | undefined {
  for (const file of files) {
    try {
      const id = readFileSync(file, 'utf8').trim();
      if (/^[0-9a-f]{32}$/.test(id)) return id;
    } catch {
      // Try the next file.
    }
  }
  return undefined;
}
