/** All dashboards, and how they are written. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { agentBoard } from './agent.ts';
import { dashboard } from './board.ts';
import { containersBoard } from './containers.ts';
import { fleetBoard } from './fleet.ts';
import { functionsBoard } from './functions.ts';
import { kernelBoard } from './kernel.ts';
import { nodeBoard } from './node.ts';
import { realtimeBoard } from './realtime.ts';

export function dashboards(): Dashboard[] {
  return [fleetBoard, nodeBoard, containersBoard, kernelBoard, functionsBoard, realtimeBoard, agentBoard].map(
    dashboard,
  );
}

export function jsonOf(one: Dashboard): string {
  return `${JSON.stringify(one, null, 2)}\n`;
}
