// Passkeys, as the browser speaks with an authenticator. What goes back and forth is the server's business.
import { told } from '../core/client.ts'
import { client } from './api.ts'

// can says whether this browser can, here: passkeys need https, or localhost.
export function can(): boolean {
  return window.isSecureContext && typeof PublicKeyCredential !== 'undefined' && 'parseCreationOptionsFromJSON' in PublicKeyCredential
}

// written is what an authenticator gave, as JSON.
function written(got: Credential | null): unknown {
  if (!(got instanceof PublicKeyCredential)) throw new Error('The authenticator gave nothing.')
  return got.toJSON()
}

export async function addPasskey(name: string) {
  const { challenge, options } = await told(client.POST('/me/passkeys/challenge', {}))
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON)
  const credential = written(await navigator.credentials.create({ publicKey }))
  return told(client.POST('/me/passkeys', { body: { challenge, name, credential } }))
}

export async function signInWithPasskey() {
  const { challenge, options } = await told(client.POST('/session/passkey', {}))
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON)
  const credential = written(await navigator.credentials.get({ publicKey }))
  return told(client.POST('/session', { body: { passkey: { challenge, credential } } }))
}
