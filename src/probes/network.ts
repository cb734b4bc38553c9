/**
 * What goes wrong on the network? These events often occur in interrupts, so the metrics do not assign them to tasks.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const STATE = 'sock:inet_sock_set_state';
/** TCP states (include/net/tcp_states.h), and IPPROTO_TCP. */
const [ESTABLISHED, SYN_SENT, TCP] = [1, 2, 6];

export const network = declaredProbe({
  name: 'network',
  help: 'TCP retransmits, resets and handshakes, dropped packets by reason, and NAPI polls.',
  rate: 'low',
  buckets: decimalBuckets(1e-5, 10),
  metrics: [
    counter(
      'ftrace_tcp_retransmits_total',
      'TCP segments that this machine retransmitted, by address family and state of the connection.',
      'tcp:tcp_retransmit_skb',
      {
        labels: { family: { isOptional: true }, state: { isOptional: true } },
        isNobodys: true,
      },
    ),
    counter(
      'ftrace_tcp_resets_sent_total',
      'TCP resets that this machine sent, by reason.',
      'tcp:tcp_send_reset',
      {
        labels: { reason: { isOptional: true } },
        isNobodys: true,
      },
    ),
    pair(
      'ftrace_tcp_connect_seconds',
      'Time from the first SYN of a TCP connection until it is established.',
      { event: STATE, where: `newstate == ${SYN_SENT} && protocol == ${TCP}` },
      { event: STATE, where: `oldstate == ${SYN_SENT} && newstate == ${ESTABLISHED}` },
      { key: ['skaddr'], labels: { family: 'end.family' } },
    ),
    counter(
      'ftrace_packet_drops_total',
      'Network packets that the kernel dropped, by reason.',
      'skb:kfree_skb',
      {
        labels: { reason: { isOptional: true } },
        isNobodys: true,
      },
    ),
    counter(
      'ftrace_napi_polls_total',
      'NAPI polls of a network device, by whether the poll used up its budget.',
      'napi:napi_poll',
      {
        labels: {
          device: 'dev_name',
          budget: { field: 'work', reaches: { field: 'budget', names: ['left', 'used_up'] } },
        },
        isNobodys: true,
      },
    ),
  ],
});
