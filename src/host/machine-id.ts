/** The id of this installation of a system (machine-id(5)); in a container it is the node's only where its file is. */
import { readFileSync } from 'node:fs';

const FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/** 32 hexadecimal digits; undefined where there is none. */
export function machineId(files: readonly string[] = FILES): string | undefined {
  for (const file of files) {
    try {
      const id = readFileSync(file, 'utf8').trim();
      if (/^[0-9a-f]{32}$/.test(id)) return id;
    } catch {
      // The next one may be there.
    }
  }
  return undefined;
}
