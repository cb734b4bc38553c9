/** Finds the processes of a cluster in /proc, because they outlive the program that started them. */
import { readdirSync, readFileSync } from 'node:fs';
import { MARK } from './namespaces.ts';

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function processes(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

export function commandOf(pid: number): string {
  return read(pid, 'cmdline').replaceAll('\0', ' ').trim();
}

/** Processes of the control plane and the node, and the one that holds the namespaces; not those of pods. */
export function clusterProcesses(directory: string): number[] {
  return processes().filter((pid) => read(pid, 'environ').split('\0').includes(`${MARK}=${directory}`));
}

/** Each of them runs the containers of a pod. */
export function shims(directory: string): number[] {
  return clusterProcesses(directory).filter((pid) => commandOf(pid).includes('containerd-shim'));
}

/** Processes of all pods, or of one container. */
export function podProcesses(container = ''): number[] {
  return processes().filter((pid) => {
    const cgroups = read(pid, 'cgroup');
    return cgroups.includes('/kubepods') && cgroups.includes(container);
  });
}

/** The process has ended meanwhile. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
