import { reasonOf } from '../model/errors.ts';
import { readUserFile } from '../model/user-file.ts';

/** Returns a file's content, or why it is unreadable. An update of a ConfigMap can leave the mtime unchanged. */
export function contentOf(file: string): string {
  try {
    return readUserFile(file).toString('utf8');
  } catch (error) {
    return `cannot be read: ${reasonOf(error)}`;
  }
}
