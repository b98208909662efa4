// Asks the exchange at BASE_URL with the real client and prints, as JSON, what the client makes of the answer.
// usage: node ask.mjs BASE_URL KEY SECRET METHOD PARAMETERS
import { RestClientV5 } from 'bybit-api';

const [baseUrl, key, secret, method, parameters] = process.argv.slice(2);
const client = new RestClientV5({ baseUrl, key, secret, parseAPIRateLimits: true });

try {
  console.log(JSON.stringify({ answer: await client[method](JSON.parse(parameters)) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.code ?? String(error), body: error.body }));
}
