/** A program that registers a user event, and writes it when the test says so. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Registers the event (Documentation/trace/user_events.rst) and does what lines of its input ask for: `write COUNT HEX`
 * writes these bytes so many times, `sleep MS` blocks in select(). Answers each line with a line. In Perl, because every
 * Debian has it, and Node has no ioctl().
 */
const PROGRAM = `
use strict;
use warnings;

$| = 1;
my ($definition) = @ARGV;
my ($enabled, $name) = (pack('L', 0), "$definition\\0");
my $address = sub { unpack('Q', pack('P', $_[0])) };
open(my $data, '+<', '/sys/kernel/tracing/user_events_data') or die "user_events_data: $!";
# struct user_reg: size, enable_bit, enable_size, flags, enable_addr, name_args, write_index
my $request = pack('LCCSQQL', 28, 0, 4, 0, $address->($enabled), $address->($name), 0);
# DIAG_IOCSREG: _IOWR('*', 0, struct user_reg *)
ioctl($data, 0xc0082a00, $request) // die "register $definition: $!";
my $index = substr($request, 24, 4);
print "$$\\n";
while (my $line = <STDIN>) {
  my ($command, $number, $bytes) = split(' ', $line);
  if ($command eq 'sleep') {
    select(undef, undef, undef, $number / 1000);
  } elsif (unpack('L', $enabled) & 1) {
    my $record = $index . pack('H*', $bytes);
    for (1 .. $number) { defined(syswrite($data, $record)) or die "write: $!"; }
  } else {
    print "off\\n";
    next;
  }
  print "done\\n";
}
`;

export interface UserEvent {
  pid: number;
  /** Writes the fields so many times. Returns false if nobody has enabled the event. */
  write(times: number, fields: Buffer): Promise<boolean>;
  sleep(ms: number): Promise<void>;
  end(): Promise<void>;
}

/** `definition` as the kernel takes it: `name type field;type field`. */
export async function registerUserEvent(definition: string): Promise<UserEvent> {
  const child = spawn('perl', ['-e', PROGRAM, definition], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, `${definition}: the program ended: ${stderr}`);
    return value;
  };
  const ask = (line: string) => {
    child.stdin.write(`${line}\n`);
    return answer();
  };
  return {
    pid: Number(await answer()),
    write: async (times, fields) => (await ask(`write ${times} ${fields.toString('hex')}`)) === 'done',
    sleep: async (ms) => void (await ask(`sleep ${ms}`)),
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
