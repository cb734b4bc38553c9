import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHeaderPage } from '../../../src/tracefs/layout.ts';
import { HEADER_PAGE_4K } from './fake.ts';

test('the layout of a 64-bit kernel with sub-buffers of 4 and 64 KiB', () => {
  const layout = {
    pageSize: 4096,
    timestampOffset: 0,
    commitOffset: 8,
    commitSize: 8,
    dataOffset: 16,
  };
  assert.deepEqual(parseHeaderPage(HEADER_PAGE_4K), layout);
  assert.deepEqual(parseHeaderPage(HEADER_PAGE_4K.replace('4080', '65520')), { ...layout, pageSize: 65536 });
});

test('on a 32-bit kernel commit has 4 bytes and the data begins at 12', () => {
  const text = `\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:12;\tsize:4084;\tsigned:1;
`;
  assert.deepEqual(parseHeaderPage(text), {
    pageSize: 4096,
    timestampOffset: 0,
    commitOffset: 8,
    commitSize: 4,
    dataOffset: 12,
  });
});

test('a text without signed, or with array brackets, is understood', () => {
  const text = HEADER_PAGE_4K.replaceAll(/\tsigned:\d;/g, '').replace('char data', 'char data[4080]');
  assert.throws(() => parseHeaderPage(text.replace('data[4080]', 'other')), /no field "data"/);
  assert.equal(parseHeaderPage(text).pageSize, 4096);
});

test('an impossible layout is refused with the reason', () => {
  assert.throws(() => parseHeaderPage('', 'some/header_page'), /some\/header_page.*no field "timestamp"/);
  assert.throws(() => parseHeaderPage(HEADER_PAGE_4K.replace('size:4080', 'size:0')), /puts the data at 16/);
  assert.throws(() => parseHeaderPage(HEADER_PAGE_4K.replace('offset:16', 'offset:9')), /puts the data at 9/);
  assert.throws(
    () => parseHeaderPage(HEADER_PAGE_4K.replace('offset:8;\tsize:8', 'offset:8;\tsize:2')),
    /2 bytes to commit/,
  );
});
