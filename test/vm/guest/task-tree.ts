/** A shell that waits for commands: its process id is known before the agent starts, and its children do the work. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface TaskTree {
  pid: number;
  /** Runs a command as a child of the shell, to its end. */
  run(command: string): Promise<void>;
  /** Calls getppid this often on a CPU. */
  getppids(cpu: number, calls: number): Promise<void>;
  end(): void;
}

export function startTaskTree(): TaskTree {
  const shell = spawn('/bin/sh', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  assert.ok(shell.pid !== undefined);
  shell.stdout.setEncoding('utf8');
  const run = async (command: string) => {
    shell.stdin.write(`( ${command} ) </dev/null >/dev/null; echo $?\n`);
    const [answer] = await once(shell.stdout, 'data');
    assert.equal(answer, '0\n', command);
  };
  return {
    pid: shell.pid,
    run,
    getppids: (cpu, calls) =>
      run(`taskset -c ${cpu} ${process.execPath} -e 'for (let i = 0; i < ${calls}; i++) process.ppid'`),
    end: () => void shell.kill('SIGKILL'),
  };
}
