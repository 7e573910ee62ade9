// A provider of OpenID Connect for the tests: oidc-provider as it comes, with its own pages.
// Arguments: its issuer, its port, and of its one client the id, the secret and the way back.
import Provider from 'oidc-provider'

const [issuer, port, client, secret, back] = process.argv.slice(2)
const provider = new Provider(issuer, {
  clients: [{ client_id: client, client_secret: secret, redirect_uris: [back] }],
  cookies: { keys: ['of this test alone'] },
  pkce: { required: () => true },
})
provider.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
