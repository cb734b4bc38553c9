/** Makes a directory with the files of tracefs. They are plain files and do not behave like the kernel's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

export const HEADER_PAGE_4K = `\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
`;

/** Makes files with these texts, by path below the directory. Returns the directory; it is removed after the test. */
export function fakeTracefs(context: TestContext, files: Record<string, string>, prefix = 'fake-tracefs-') {
  const root = mkdtempSync(join(tmpdir(), prefix));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'instances'));
  for (const [path, text] of Object.entries({ trace_clock: '[local] global mono\n', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}
