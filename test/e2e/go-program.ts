/**
 * Programs that are published only as Go modules: each is built once from the module proxy and kept under its version
 * in ~/.cache/ftrace-exporter/bin.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, freemem, homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface GoProgram {
  /** Import path of its main package. */
  package: string;
  /** Directory of our own main package, for programs of which only the parts are published. */
  directory?: string;
  version: string;
  tags: readonly string[];
  /** More flags for the linker; debugging information is always left out. */
  ldflags?: string;
}

/** Prometheus 3.16 without its UI and its service discoveries, which are most of what there is to compile. */
export const PROMETHEUS: GoProgram = {
  package: 'github.com/prometheus/prometheus/cmd/prometheus',
  version: 'v0.316.0',
  tags: ['netgo', 'remove_all_sd'],
};

/** The OpenTelemetry Collector with only the parts that tests need. */
export const COLLECTOR: GoProgram = {
  package: 'ftrace-exporter/test/collector',
  directory: fileURLToPath(new URL('collector', import.meta.url)),
  version: 'v0.165.0',
  tags: ['netgo'],
};

export const HELM: GoProgram = {
  package: 'helm.sh/helm/v4/cmd/helm',
  version: 'v4.3.1',
  tags: ['netgo'],
};

/** The Pod Security checks of kube-apiserver, as a program of their own. */
export const POD_SECURITY: GoProgram = {
  package: 'ftrace-exporter/test/pod-security',
  directory: fileURLToPath(new URL('pod-security', import.meta.url)),
  version: 'v0.37.2',
  tags: ['netgo'],
};

/**
 * A one-node Kubernetes in one program, kubectl included. It reports the version of a release, because charts check the
 * version.
 */
export const CONTROL_PLANE: GoProgram = {
  package: 'ftrace-exporter/test/control-plane',
  directory: fileURLToPath(new URL('control-plane', import.meta.url)),
  version: 'v1.37.2',
  tags: ['netgo'],
  ldflags: [
    '-X k8s.io/component-base/version.gitVersion=v1.37.2',
    '-X k8s.io/component-base/version.gitMajor=1',
    '-X k8s.io/component-base/version.gitMinor=37',
  ].join(' '),
};

/** Runs the containers of the one node; Debian's is too old for this kubelet. */
export const [CONTAINERD, SHIM, CTR] = ['containerd', 'containerd-shim-runc-v2', 'ctr'].map(
  (name): GoProgram => ({
    package: `github.com/containerd/containerd/v2/cmd/${name}`,
    version: 'v2.3.7',
    tags: ['netgo', 'no_btrfs', 'no_devmapper', 'no_zfs', 'no_aufs'],
    ldflags: '-X github.com/containerd/containerd/v2/version.Version=v2.3.7',
  }),
) as [GoProgram, GoProgram, GoProgram];

const BIN = join(homedir(), '.cache', 'ftrace-exporter', 'bin');

/** Path of the built program. If its source is in this repository (`directory`), the name has a hash of the source. */
export function pathOf(program: GoProgram): string {
  const { directory, version } = program;
  const name = `${basename(program.package)}-${version}`;
  if (directory === undefined) return join(BIN, name);
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'main.go']) hash.update(readFileSync(join(directory, file)));
  return join(BIN, `${name}-${hash.digest('hex').slice(0, 8)}`);
}

export function isBuilt(program: GoProgram): boolean {
  return existsSync(pathOf(program));
}

/** The linker and the largest packages take a gigabyte or two each. */
function packagesAtOnce(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / 3 / 2 ** 30)));
}

/** Path of the program. Builds it if it is missing. If that fails, throws an `Error` that says what to do. */
export function goProgram(program: GoProgram): string {
  const path = pathOf(program);
  if (existsSync(path)) return path;
  const name = `${program.package}@${program.version}`;
  console.error(`building ${name}: this takes some minutes, once`);
  mkdirSync(BIN, { recursive: true });
  const directory = mkdtempSync(join(BIN, '.build-'));
  try {
    const what = program.directory === undefined ? name : '.';
    const { status, error } = spawnSync(
      'go',
      [
        'install',
        '-trimpath',
        `-ldflags=-s -w ${program.ldflags ?? ''}`.trim(),
        // The linker would drop the debug information in any case.
        '-gcflags=all=-dwarf=false',
        `-tags=${program.tags.join()}`,
        what,
      ],
      {
        ...(program.directory === undefined ? {} : { cwd: program.directory }),
        env: {
          ...process.env,
          GOBIN: directory,
          CGO_ENABLED: '0',
          // Fewer garbage collections. On two cores this saves 15 % of the time.
          GOGC: '400',
          GOFLAGS: `${process.env.GOFLAGS ?? ''} -p=${packagesAtOnce()}`.trim(),
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    );
    if (error !== undefined)
      throw new Error(`go is needed to build ${name}: ${error.message}; see go.dev/doc/install`);
    if (status !== 0) throw new Error(`go install ${name} ended with ${status}`);
    renameSync(join(directory, basename(program.package)), path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return path;
}
