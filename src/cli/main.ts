/** The command line. Loads a command's module only when the command runs, so that `--help` is fast. */
import { Argument, Command, Option } from 'commander';
import { didYouMean } from '../config/suggest.ts';
import { UsageError } from '../model/errors.ts';
import { contentOf } from './config-content.ts';
import { addConfigOptions, configSourcesOf } from './config-options.ts';
import { EXIT_FAILED, reportFailure } from './failure.ts';
import { loadConfig, loadConfigInThread } from './load-config.ts';
import { quietWhenPipeCloses } from './output.ts';
import { packageVersion } from './version.ts';

interface Outcome {
  status: number;
}

/** Runs one command and sets the exit status. Never rejects. */
export async function main(argv: string[]): Promise<void> {
  quietWhenPipeCloses();
  // If the event loop becomes empty before the command has ended, Node exits with this status.
  process.exitCode = EXIT_FAILED;
  try {
    const outcome: Outcome = { status: 0 };
    const program = makeProgram(outcome);
    refuseUnknownCommand(program, argv);
    await program.parseAsync(argv, { from: 'user' });
    process.exitCode = outcome.status;
  } catch (error) {
    process.exitCode = reportFailure(error);
  }
}

/** Throws a `UsageError` for an unknown command. Commander would call the name a surplus argument of `run`. */
function refuseUnknownCommand(program: Command, argv: readonly string[]): void {
  const [first] = argv;
  if (first === undefined || first.startsWith('-')) return;
  const names = [...program.commands.map((command) => command.name()), 'help'];
  if (names.includes(first)) return;
  throw new UsageError(
    `unknown command ${JSON.stringify(first)}${didYouMean(first, names)}: the commands are ${names.join(', ')}`,
  );
}

function makeProgram(outcome: Outcome): Command {
  const program = new Command('ftrace-exporter')
    .description("Turns the Linux kernel's own tracers into Prometheus metrics and OpenTelemetry spans.")
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .configureHelp({ showGlobalOptions: true, sortOptions: false })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'ftrace-exporter: ')) })
    .showHelpAfterError('(--help lists commands and flags)')
    .enablePositionalOptions()
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter --config.file /etc/ftrace-exporter.yaml',
        'ftrace-exporter run --probe syscalls --web.listen-address 127.0.0.1:10743',
        'ftrace-exporter doctor',
        'ftrace-exporter COMMAND --help',
      ),
    )
    .exitOverride();

  addRun(program, outcome);
  addDoctor(program, outcome);
  addList(program, outcome);
  addCheckConfig(program, outcome);
  addTry(program, outcome);
  addCleanup(program, outcome);
  addRecord(program);
  addReplay(program, outcome);
  addTop(program);
  return program;
}

function addRun(program: Command, outcome: Outcome): void {
  const run = program
    .command('run', { isDefault: true })
    .description('trace and serve metrics until SIGTERM or SIGINT (the default command)')
    .option(
      '--config.watch',
      'reload the config when the content of its file changes (checked every 5 seconds)',
    )
    .option(
      '--web.enable-lifecycle',
      'allow clients to reload the config with POST /-/reload (SIGHUP always reloads it)',
    )
    .option(
      '--demo-if-unavailable',
      'if tracefs is not available, serve a bundled recording (`npm start` uses this)',
    )
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter run',
        'ftrace-exporter run --probe syscalls --no-probe irq',
        'ftrace-exporter run --path.tracefs /tracing --log.format json',
        'FTRACE_EXPORTER_LOG_LEVEL=debug ftrace-exporter run',
      ),
    )
    .action(
      async (options: {
        demoIfUnavailable?: boolean;
        'config.watch'?: true;
        'web.enableLifecycle'?: true;
      }) => {
        const sources = configSourcesOf(run);
        const { file } = sources;
        const watchesConfig = options['config.watch'] === true;
        const loadedFrom = watchesConfig && file !== undefined ? contentOf(file) : undefined;
        const config = await loadConfigInThread(sources);
        const source = { file, loadedFrom, load: () => loadConfig(sources) };
        if (watchesConfig && file === undefined)
          throw new UsageError('--config.watch needs a file: --config.file or FTRACE_EXPORTER_CONFIG_FILE');
        const { run: start } = await import('./run.ts');
        outcome.status = await start(config, {
          demoIfUnavailable: options.demoIfUnavailable === true,
          allowsLifecycle: options['web.enableLifecycle'] === true,
          ...{ source, watchesConfig },
        });
      },
    );
  addConfigOptions(run, ['probes', 'web', 'instance', 'tracefs', 'state', 'reader', 'log']);
}

function addDoctor(program: Command, outcome: Outcome): void {
  const doctor = program
    .command('doctor')
    .description('show what this kernel supports, what each probe needs, and why a probe does not work')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('ftrace-exporter doctor', 'ftrace-exporter doctor --json --probe syscalls'),
    )
    .action(async (options: { json?: boolean }) => {
      const config = await loadConfig(configSourcesOf(doctor));
      const { doctor: examine } = await import('./doctor.ts');
      outcome.status = await examine(config, options.json === true);
    });
  addConfigOptions(doctor, ['probes', 'instance', 'tracefs', 'state', 'reader']);
}

function addList(program: Command, outcome: Outcome): void {
  const list = program
    .command('list')
    .description(
      'list probes or metrics of the agent; tracers, events or functions of this kernel; or functions of a program',
    )
    .addArgument(
      new Argument('<what>', 'what to list').choices([
        'probes',
        'tracers',
        'events',
        'functions',
        'metrics',
        'symbols',
      ]),
    )
    .argument('[glob]', 'show only matching names, as in "sched:*"; for symbols: the program or library')
    .argument('[names]', 'for symbols: show only matching names')
    .option('--fields', 'for events: also show their fields')
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter list probes',
        "ftrace-exporter list events 'sched:*'",
        "ftrace-exporter list functions 'vfs_*'",
        "ftrace-exporter list events 'skb:*' --fields",
        "ftrace-exporter list symbols /lib/x86_64-linux-gnu/libc.so.6 'get*info'",
      ),
    )
    .action(
      async (
        what: string,
        glob: string | undefined,
        names: string | undefined,
        options: { fields?: boolean },
      ) => {
        const config = await loadConfig(configSourcesOf(list));
        const { list: show, listSymbols } = await import('./list.ts');
        outcome.status =
          what === 'symbols' ? listSymbols(glob, names) : show(config, what, glob, options.fields === true);
      },
    );
  addConfigOptions(list, ['tracefs']);
}

function addCheckConfig(program: Command, outcome: Outcome): void {
  program
    .command('check-config')
    .description(
      'check a config file, ignoring environment variables; exits with 0 if it is valid, else with 2',
    )
    .argument('[file]', 'the YAML file')
    .option('--print-schema', 'print the JSON Schema of the config and exit')
    .option(
      '--live',
      'also check that this kernel has the events and fields; exits with 1 if a probe would be off',
    )
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter check-config ftrace-exporter.yaml',
        'ftrace-exporter check-config --print-schema',
      ),
    )
    .action(async (file: string | undefined, options: { printSchema?: boolean; live?: boolean }) => {
      const { checkConfig, printSchema } = await import('./check-config.ts');
      if (options.printSchema) printSchema();
      else outcome.status = await checkConfig(file, options.live === true);
    });
}

function addTry(program: Command, outcome: Outcome): void {
  program
    .command('try')
    .description('measure the metrics that a config declares, for a short time, and print their values')
    .argument('<file>', 'the YAML file')
    .argument('[name]', 'name of one metric (default: all)')
    .option('--for <time>', 'how long to measure, as in 10s or 2m', '10s')
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter try metrics.yaml',
        'ftrace-exporter try metrics.yaml reclaim_seconds --for 1m',
      ),
    )
    .action(async (file: string, name: string | undefined, options: { for: string }) => {
      const { tryMetrics } = await import('./try.ts');
      outcome.status = await tryMetrics(file, name, options.for);
    });
}

function addCleanup(program: Command, outcome: Outcome): void {
  const cleanup = program
    .command('cleanup')
    .description(
      'remove what a killed agent left in the kernel and restore what it changed; does not affect a running agent',
    )
    .option(
      '--on-signal',
      'before cleaning up, wait for SIGTERM or SIGINT, and then until a running agent has ended',
    )
    .addHelpText(
      'after',
      examples('ftrace-exporter cleanup', 'ftrace-exporter cleanup --path.tracefs /tracing'),
    )
    .action(async (options: { onSignal?: boolean }) => {
      const config = await loadConfig(configSourcesOf(cleanup));
      const { removeLeftovers, removeLeftoversOnSignal } = await import('./cleanup.ts');
      outcome.status = await (options.onSignal ? removeLeftoversOnSignal : removeLeftovers)(config);
    });
  addConfigOptions(cleanup, ['instance', 'tracefs', 'state']);
}

function addRecord(program: Command): void {
  const record = program
    .command('record')
    .description(
      'record the events of the probes, and of one tracer, to a file for trace-cmd and KernelShark',
    )
    .requiredOption('-o, --output <file>', 'the file to write')
    .option('--duration <time>', 'how long to record, as in 10s or 2m', '10s')
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter record -o trace.dat',
        'ftrace-exporter record -o io.dat --duration 1m --probe syscalls',
      ),
    )
    .action(async (options: { output: string; duration: string }) => {
      const config = await loadConfig(configSourcesOf(record));
      const { record: write } = await import('./record.ts');
      await write(config, options);
    });
  addConfigOptions(record, ['probes', 'instance', 'tracefs', 'state', 'log']);
}

function addReplay(program: Command, outcome: Outcome): void {
  const replay = program
    .command('replay')
    .description('print the metrics of a recording, or serve them')
    .argument(
      '<file>',
      'a trace.dat file (version 6 or 7) that `record` or trace-cmd wrote, or a text file with the output of trace, ' +
        'trace_pipe or trace-cmd report, from any kernel or Android. It must be a regular, uncompressed file',
    )
    .option('--serve', 'serve the metrics over HTTP with the label source="replay", until SIGTERM or SIGINT')
    .option(
      '--instance <name>',
      'the instance to replay, if the file has several (default: the top level or, if it has no events, the first)',
    )
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter replay trace.dat',
        'ftrace-exporter replay trace.dat --serve',
        'ftrace-exporter replay trace.dat --instance mine --probe syscalls',
      ),
    )
    .action(async (file: string, options: { serve?: boolean; instance?: string }) => {
      const config = await loadConfig({ ...configSourcesOf(replay), isRecorded: true });
      if (options.serve) {
        const { run } = await import('./run.ts');
        outcome.status = await run(config, { replayFile: file, replayInstance: options.instance });
      } else {
        const { replay: show } = await import('./replay.ts');
        await show(config, file, options.instance);
      }
    });
  addConfigOptions(replay, ['probes', 'web', 'log']);
}

function addTop(program: Command): void {
  program
    .command('top')
    .description('show recent latencies of a running agent in this terminal')
    .argument('[url]', 'URL of the agent; may contain user:password@', 'http://localhost:10743')
    .option('--once', 'print all tables once and exit')
    .addOption(
      new Option('--output <format>', 'format for --once: text or json')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText(
      'after',
      examples(
        'ftrace-exporter top',
        'ftrace-exporter top https://user:password@node7:10743',
        'ftrace-exporter top --once --output json',
      ),
    )
    .action(async (url: string, options: { once?: boolean; output?: string }) => {
      const { top } = await import('./top/top.ts');
      await top(url, options);
    });
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
