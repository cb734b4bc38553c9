/** Finds container and pod in paths of control groups, for the paths that kernels and runtimes make. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { containerOf } from '../../../src/host/container-paths.ts';

const ID = '79fedb3bd23ca77c9d9ccb41909038316f713df22b54b7d942b71d3812e7c74e';
const OTHER = 'aaefb9d8feed2d453b543f6d928cede7a4dbefa6a0ae7c9b990dd234c56e93b9';
const UID = '2fc932ce-fdcc-454b-97bd-aadfdeb4c340';
const UNDERSCORED = UID.replaceAll('-', '_');
const SLICES = '/kubepods.slice/kubepods-burstable.slice';
const POD_SLICE = `${SLICES}/kubepods-burstable-pod${UNDERSCORED}.slice`;

/** Description, text of /proc/PID/cgroup, and the ids of the container and the pod. */
const CASES: [what: string, text: string, id?: string, pod?: string][] = [
  ['containerd, systemd, v2', `0::${POD_SLICE}/cri-containerd-${ID}.scope`, ID, UID],
  [
    'guaranteed pods have no slice of their class',
    `0::/kubepods.slice/kubepods-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    ID,
    UID,
  ],
  [
    'besteffort',
    `0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    ID,
    UID,
  ],
  [
    'a kubelet with a cgroup root of its own (kind)',
    `0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    ID,
    UID,
  ],
  ['containerd, cgroupfs', `0::/kubepods/burstable/pod${UID}/${ID}`, ID, UID],
  ['containerd, cgroupfs, guaranteed', `0::/kubepods/pod${UID}/${ID}`, ID, UID],
  ['CRI-O, systemd', `0::${POD_SLICE}/crio-${ID}.scope`, ID, UID],
  ['CRI-O, systemd, newer: a group within', `0::${POD_SLICE}/crio-${ID}.scope/container`, ID, UID],
  ['CRI-O, cgroupfs', `0::/kubepods/besteffort/pod${UID}/crio-${ID}`, ID, UID],
  ['CRI-O’s monitor is in no container', `0::${POD_SLICE}/crio-conmon-${ID}.scope`],
  ['Docker under Kubernetes, systemd', `0::${POD_SLICE}/docker-${ID}.scope`, ID, UID],
  ['Docker under Kubernetes, cgroupfs', `0::/kubepods/burstable/pod${UID}/${ID}`, ID, UID],
  ['Docker, systemd', `0::/system.slice/docker-${ID}.scope`, ID],
  ['Docker, cgroupfs', `0::/docker/${ID}`, ID],
  ['Docker, with a parent of its own', `0::/batch.slice/docker-${ID}.scope`, ID],
  ['Docker, rootless', `0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${ID}.scope`, ID],
  ['podman, systemd', `0::/machine.slice/libpod-${ID}.scope`, ID],
  ['podman, newer: a group within', `0::/machine.slice/libpod-${ID}.scope/container`, ID],
  [
    'podman, rootless',
    `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope/container`,
    ID,
  ],
  ['podman, cgroupfs', `0::/libpod_parent/libpod-${ID}`, ID],
  ['podman’s monitor is in no container', `0::/machine.slice/libpod-conmon-${ID}.scope`],
  ['nerdctl', `0::/system.slice/nerdctl-${ID}.scope`, ID],
  ['plain containerd', `0::/default/${ID}`, ID],
  ['LXC names are no ids', '0::/lxc.payload.web/init.scope'],
  [
    'a systemd name taken for a path',
    `1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod${UNDERSCORED}.slice:cri-containerd:${ID}`,
    ID,
    UID,
  ],
  ['ECS on EC2', `9:perf_event:/ecs/34dc0b5e626f2c5c4c5170e34b10e765/${ID}`, ID],
  [
    'ECS on Fargate',
    '0::/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1374321210',
    '34dc0b5e626f2c5c4c5170e34b10e765-1374321210',
  ],
  [
    'pods from files have a hash, which the API does not know',
    `0::/kubepods/burstable/pod89f4f2cb511c3b0b7e5272cff5ec37bf/${ID}`,
    ID,
  ],
  [
    'v1: the first that names one',
    [
      '12:pids:/user.slice',
      `11:cpu,cpuacct:/kubepods/burstable/pod${UID}/${ID}`,
      `1:name=systemd:/kubepods/burstable/pod${UID}/${ID}`,
      '0::/',
    ].join('\n'),
    ID,
    UID,
  ],
  [
    'v1 beside v2: the one that names the pod too',
    `3:cpuset:/${ID}\n1:name=systemd:/kubepods/pod${UID}/${ID}\n0::/system.slice/containerd.service`,
    ID,
    UID,
  ],
  [
    'from another cgroup namespace',
    `0::/../../kubepods-burstable-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    ID,
    UID,
  ],
  ['from that of a container of the same pod', `0::/../cri-containerd-${ID}.scope`, ID],
  ['in the same group as who asks', '0::/'],
  [
    'groups within a container',
    `0::${POD_SLICE}/cri-containerd-${ID}.scope/system.slice/nginx.service`,
    ID,
    UID,
  ],
  ['a container in a container: the host’s counts', `0::/docker/${ID}/kubepods/pod${UID}/${OTHER}`, ID],
  [
    'a forged group within a container',
    `0::${POD_SLICE}/cri-containerd-${ID}.scope/docker-${OTHER}.scope`,
    ID,
    UID,
  ],
  ['a group that is gone', `0::/system.slice/docker-${ID}.scope (deleted)`, ID],
  ['a service', '0::/system.slice/ssh.service'],
  ['a session', '0::/user.slice/user-0.slice/session-3.scope'],
  ['63 digits', `0::/docker/${ID.slice(1)}`],
  ['65 digits', `0::/docker/${ID}0`],
  ['capitals', `0::/docker/${ID.toUpperCase()}`],
  ['nothing', ''],
  ['a pod without a container', `0::${POD_SLICE}`],
  ['a pod’s uid that is none', `0::/kubepods/pod${UID.slice(1)}/${ID}`, ID],
  ['a path that is too long', `0::/${'a/'.repeat(5000)}docker-${ID}.scope`],
];

for (const [what, text, id, pod] of CASES) {
  test(`${what}`, () => {
    const expected = id === undefined ? undefined : { containerId: id, podUid: pod ?? '' };
    assert.deepEqual(containerOf(text), expected);
    assert.deepEqual(containerOf(`${text}\n`), expected);
  });
}

test('any text gives ids of the right form, or none', () => {
  const part = fc.constantFrom(
    '/',
    ':',
    '-',
    '.scope',
    '.slice',
    'pod',
    ID,
    UID,
    UNDERSCORED,
    'docker',
    '0::',
    '\n',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(part, fc.string()), { maxLength: 30 }), (parts) => {
      const container = containerOf(parts.join(''));
      if (container === undefined) return;
      assert.match(container.containerId, /^[0-9a-f]{32}(-\d{1,20}|[0-9a-f]{32})$/);
      assert.match(container.podUid, /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$/);
    }),
  );
});
