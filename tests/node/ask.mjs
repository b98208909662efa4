// Calls one method of the real client against the exchange at BASE_URL. Prints a line of JSON: {answer}, or {error, body},
// or {missing} if the client has no such method.
// usage: node ask.mjs BASE_URL KEY SECRET METHOD PARAMETERS
import { RestClientV5 } from 'bybit-api';

const [baseUrl, key, secret, method, parameters] = process.argv.slice(2);
const client = new RestClientV5({ baseUrl, key, secret, parseAPIRateLimits: true });

if (typeof client[method] !== 'function') {
  console.log(JSON.stringify({ missing: method }));
  process.exit();
}
try {
  console.log(JSON.stringify({ answer: await client[method](JSON.parse(parameters)) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.code ?? String(error), body: error.body }));
}
