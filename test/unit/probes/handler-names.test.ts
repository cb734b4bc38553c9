import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldQueueNumber, HandlerNames } from '../../../src/probes/names/handler-names.ts';

test('queue numbers fold', () => {
  for (const [name, folded] of [
    ['nvme0q17', 'nvme0q*'],
    ['eth0-TxRx-3', 'eth0-TxRx-*'],
    ['i40e-eth0-TxRx-12', 'i40e-eth0-TxRx-*'],
    ['ens5-Tx-Rx-0', 'ens5-Tx-Rx-*'],
    ['eth0-rx-1', 'eth0-rx-*'],
    ['lan-rx-3', 'lan-rx-*'],
    ['eth0-3', 'eth0-*'],
    ['virtio1-input.0', 'virtio1-input.*'],
    ['virtio3-req.11', 'virtio3-req.*'],
    ['megasas0-msix12', 'megasas0-msix*'],
    ['iwlwifi:queue_2', 'iwlwifi:queue_*'],
    ['mlx5_comp3@pci:0000:01:00.0', 'mlx5_comp*@pci:0000:01:00.0'],
    ['mlx4-1@0000:01:00.0', 'mlx4-*@0000:01:00.0'],
    ['gve-ntfy-blk7@pci:0000:00:04.0', 'gve-ntfy-blk*@pci:0000:00:04.0'],
  ]) {
    assert.equal(foldQueueNumber(name), folded);
  }
});

test('numbers of devices stay', () => {
  for (const name of [
    'i801_smbus',
    'ahci[0000:00:1f.2]',
    'virtio0',
    'virtio0-config',
    'rtc0',
    'ttyS0',
    'xhci_hcd',
    'dmar0',
    'mmcblk0',
    'i2c_designware.0',
    'snd_hda_intel:card1',
    'ccp-1',
    'acpi',
    '',
  ]) {
    assert.equal(foldQueueNumber(name), name);
  }
});

test('names are recognized by their bytes, on the same line and on others', () => {
  const names = new HandlerNames();
  const bytes = Buffer.from('..nvme0q1.nvme0q12.nvme1q1');
  const at = (irq: number, start: number, end: number) =>
    names.find(
      irq,
      { words: new Int32Array(0), bytes, offset: 0, length: 0, cpu: 0, timestampNs: 0 },
      start,
      end,
    );
  const row = at(30, 2, 9);
  assert.equal(at(31, 10, 18), row);
  assert.equal(at(30, 10, 18), row);
  assert.notEqual(at(30, 19, 26), row);
  assert.equal(at(30, 2, 9), row);
  assert.deepEqual(names.names, ['nvme0q*', 'nvme1q*']);
});

test('an endless number of names shares one row', () => {
  const names = new HandlerNames();
  for (let i = 0; i < 5000; i++) names.row(`device${i}x`);
  assert.ok(names.names.length <= 4097);
  assert.equal(names.names[names.row('one more')], 'other');
});
