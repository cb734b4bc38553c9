/**
 * The images that the cluster's node runs, as archives: the project's own, as deploy/image builds it, and a pause image
 * of busybox.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { buildImage, outcomeOf, removeImage, STORAGE } from '../e2e/containers.ts';
import { PAUSE_IMAGE } from './node-files.ts';

export interface Images {
  /** Name of the agent's image, `REGISTRY/REPOSITORY:TAG`. */
  tag: string;
  /** Archives for `ctr images import`. */
  archives: string[];
}

export function makeImages(directory: string): Images {
  const { tag } = buildImage(process.arch === 'arm64' ? 'arm64' : 'amd64', 'cluster');
  try {
    const archives = [tag, makePause()].map((name, index) => {
      const archive = join(directory, `image-${index}.tar`);
      buildah('push', '--quiet', name, `oci-archive:${archive}:${name}`);
      return archive;
    });
    return { tag, archives };
  } finally {
    removeImage(tag);
    removeImage(PAUSE_IMAGE);
  }
}

/** A process that holds a pod's namespaces and does nothing else. */
function makePause(): string {
  const container = buildah('from', 'scratch').trim();
  buildah('copy', '--quiet', container, '/bin/busybox', '/busybox');
  buildah('config', '--entrypoint', '["/busybox","sleep","2147483647"]', container);
  buildah('commit', '--quiet', '--rm', container, PAUSE_IMAGE);
  return PAUSE_IMAGE;
}

function buildah(...args: string[]): string {
  const storage = [`--root=${STORAGE}/storage`, `--runroot=${STORAGE}/run`, '--storage-driver=vfs'];
  const { status, output } = outcomeOf('buildah', ...storage, ...args);
  assert.equal(status, 0, `buildah ${args.join(' ')}: ${output}`);
  return output;
}
