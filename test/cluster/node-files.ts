/** The files that configure containerd, the network and the kubelet of the cluster's one node. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_ADDRESS } from './namespaces.ts';

export const PAUSE_IMAGE = 'localhost/ftrace-exporter-pause:1';

export interface NodeFiles {
  containerd: string;
  kubelet: string;
  /** containerd's config. */
  socket: string;
}

export function writeNodeFiles(directory: string): NodeFiles {
  const socket = join(directory, 'containerd.sock');
  const network = join(directory, 'network');
  mkdirSync(network);
  writeFileSync(join(network, '10-bridge.conflist'), JSON.stringify(networkConfig(directory)));
  const containerd = join(directory, 'containerd.toml');
  writeFileSync(containerd, containerdConfig(directory, socket, network));
  const kubelet = join(directory, 'kubelet.json');
  writeFileSync(kubelet, JSON.stringify(kubeletConfig(directory, socket)));
  return { containerd, kubelet, socket };
}

/** Addresses of networks that are reserved for documentation. */
const networkConfig = (directory: string) => ({
  cniVersion: '1.0.0',
  name: 'cluster',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: false,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: join(directory, 'addresses'),
        ranges: [[{ subnet: '198.51.100.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
});

/** Leaves oom_score_adj as it is if a process without CAP_SYS_RESOURCE cannot lower it. */
const containerdConfig = (directory: string, socket: string, network: string) => `version = 3
root = "${directory}/containerd/root"
state = "${directory}/containerd/state"
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "${PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = "${network}"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "/usr/sbin/runc"
      SystemdCgroup = false
`;

const kubeletConfig = (directory: string, socket: string) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  address: NODE_ADDRESS,
  failSwapOn: false,
  // The machine may have cgroups of version 1, which this kubelet refuses by default.
  failCgroupV1: false,
  cgroupDriver: 'cgroupfs',
  cgroupsPerQOS: true,
  enforceNodeAllocatable: [],
  oomScoreAdj: 0,
  containerRuntimeEndpoint: `unix://${socket}`,
  resolvConf: '',
  podLogsDir: join(directory, 'pod-logs'),
  volumePluginDir: join(directory, 'volume-plugins'),
  evictionHard: {
    'memory.available': '100Mi',
    'nodefs.available': '1%',
    'imagefs.available': '1%',
    'nodefs.inodesFree': '1%',
  },
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  makeIPTablesUtilChains: false,
  protectKernelDefaults: false,
  syncFrequency: '10s',
  nodeStatusUpdateFrequency: '5s',
  shutdownGracePeriod: '0s',
});
