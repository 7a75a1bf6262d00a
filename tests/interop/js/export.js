/* The OpenTelemetry JavaScript SDK as a client: makes a fixed set of records and exports them.
 *
 *     NODE_PATH=.../node_modules node export.js SIGNAL PROTOCOL ENDPOINT [COMPRESSION]
 *
 * SIGNAL is traces, logs or metrics; PROTOCOL grpc, http/protobuf or http/json; ENDPOINT
 * http://host:port; COMPRESSION none or gzip. Ids and times are fixed, so that two runs send the
 * same bytes. Exits with 1 and says why when a request was not accepted.
 */
'use strict';

const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { AggregationTemporality, AggregationType, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const START_S = 1_795_485_401;
const REQUESTS = [1, 10, 100];

const EXPORTERS = {
  traces: ['trace', 'OTLPTraceExporter', '/v1/traces'],
  logs: ['logs', 'OTLPLogExporter', '/v1/logs'],
  metrics: ['metrics', 'OTLPMetricExporter', '/v1/metrics'],
};
const PACKAGES = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };

const resource = resourceFromAttributes({
  'service.name': 'refund-bot',
  'host.names': ['a', 'b'],
  'process.pid': 41,
  'text.unicode': 'Grüße, 世界 🛰',
});

/** Fixed ids: as distinct as random ones, and the same in every run. */
class Counting {
  count = 0;
  generateTraceId() { return (++this.count).toString(16).padStart(32, 'a'); }
  generateSpanId() { return (++this.count).toString(16).padStart(16, 'b'); }
}

function attributes(number) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': 'gpt-4o-mini',
    'gen_ai.request.temperature': 0.1 + number / 7,
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': 400 + number,
    'empty.text': '',
    'empty.list': [],
    'big.integer': Number.MAX_SAFE_INTEGER,
    'negative': -number,
    'flag': number % 2 === 0,
  };
}

async function traces() {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource,
    idGenerator: new Counting(),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const tracer = provider.getTracer('interop', '1.2.3', { schemaUrl: 'https://example.com/schema' });
  let previous;
  for (let number = 0; number < 111; number += 1) {
    const start = [START_S + number, 123_456_789];
    const span = tracer.startSpan(`chat ${number}`, {
      kind: SpanKind.CLIENT,
      startTime: start,
      attributes: attributes(number),
      links: previous ? [{ context: previous, attributes: { 'link.number': number } }] : [],
    });
    span.addEvent('gen_ai.content.prompt', { 'event.number': number }, [START_S + number, 200_000_001]);
    span.setStatus({ code: number % 3 === 0 ? SpanStatusCode.ERROR : SpanStatusCode.OK, message: number % 3 === 0 ? 'upstream hung up' : '' });
    span.end([START_S + number, 987_654_321]);
    previous = span.spanContext();
  }
  await provider.forceFlush();
  return memory.getFinishedSpans();
}

async function logs() {
  const memory = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter: memory })] });
  const logger = provider.getLogger('interop', '1.2.3', { schemaUrl: 'https://example.com/schema' });
  for (let number = 0; number < 111; number += 1) {
    logger.emit({
      eventName: 'gen_ai.evaluation.result',
      timestamp: [START_S + number, 123_456_789],
      observedTimestamp: [START_S + number, 123_456_790],
      severityNumber: number % 2 ? SeverityNumber.WARN : SeverityNumber.INFO,
      severityText: number % 2 ? 'warn' : 'info',
      body: number % 2 ? `evaluated ${number}` : { score: number / 3, nested: { list: [1, 'two', true, null] } },
      attributes: attributes(number),
    });
  }
  await provider.forceFlush();
  return memory.getFinishedLogRecords();
}

async function metrics() {
  const memory = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const provider = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: memory, exportIntervalMillis: 3_600_000 })],
    views: [{ instrumentName: 'exponential', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = provider.getMeter('interop', '1.2.3', { schemaUrl: 'https://example.com/schema' });
  const counter = meter.createCounter('calls', { unit: '{call}', description: 'Calls by model' });
  const balance = meter.createUpDownCounter('in_flight');
  const histogram = meter.createHistogram('latency', { unit: 's' });
  const exponential = meter.createHistogram('exponential', { unit: 's' });
  const gauge = meter.createGauge('temperature');
  for (let number = 0; number < 111; number += 1) {
    counter.add(number, { model: `m${number % 5}` });
    balance.add(-number, { even: number % 2 === 0 });
    histogram.record(number / 7, { model: `m${number % 5}` });
    exponential.record(number * 1.5 - 3);
    gauge.record(-0.1 * number);
  }
  await provider.forceFlush();
  const [collected] = memory.getMetrics();
  for (const { metrics: inScope } of collected.scopeMetrics) {
    for (const metric of inScope) {
      for (const point of metric.dataPoints) {
        point.startTime = [START_S, 1];
        point.endTime = [START_S + 60, 2];
      }
    }
  }
  await provider.shutdown();
  return collected;
}

function send(exporter, batch) {
  return new Promise((resolve, reject) => {
    exporter.export(batch, (result) => (result.code === 0 ? resolve() : reject(result.error ?? new Error('not accepted'))));
  });
}

async function main([signal, protocol, endpoint, compression = 'none']) {
  const [family, name, path] = EXPORTERS[signal];
  const { [name]: Exporter } = require(`@opentelemetry/exporter-${family}-otlp-${PACKAGES[protocol]}`);
  const exporter = new Exporter({ url: protocol === 'grpc' ? endpoint : endpoint + path, compression });
  const records = await { traces, logs, metrics }[signal]();
  if (signal === 'metrics') {
    await send(exporter, records);
  } else {
    let sent = 0;
    for (const size of REQUESTS) {
      await send(exporter, records.slice(sent, sent + size));
      sent += size;
    }
  }
  await exporter.shutdown();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
