/** Processes of a cluster, found in /proc: they outlive the program that started them. */
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

/** Those of its control plane and its node, with the process that holds its namespaces; not those of pods. */
export function clusterProcesses(directory: string): number[] {
  return processes().filter((pid) => read(pid, 'environ').split('\0').includes(`${MARK}=${directory}`));
}

/** Each runs the containers of a pod. */
export function shims(directory: string): number[] {
  return clusterProcesses(directory).filter((pid) => commandOf(pid).includes('containerd-shim'));
}

/** Those of all pods, or of one container. */
export function podProcesses(container = ''): number[] {
  return processes().filter((pid) => {
    const cgroups = read(pid, 'cgroup');
    return cgroups.includes('/kubepods') && cgroups.includes(container);
  });
}

/** A process that has ended meanwhile is none to end. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
