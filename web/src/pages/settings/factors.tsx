import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { told } from '../../../core/client.ts'
import { plain } from '../../../core/format.ts'
import type { Caller, NewTOTP } from '../../../core/types.ts'
import { ask, cache, client } from '../../api.ts'
import { Copy, Failed, Field, Time } from '../../components/bits.tsx'
import { addPasskey, can } from '../../passkey.ts'
import { Table, useDo } from './parts.tsx'

// Factors are what else one signs in with.
export function Factors({ me }: { me: Caller }) {
  return (
    <>
      <h2>Codes of an authenticator</h2>
      <Codes on={me.has_totp ?? false} />
      <h2>Passkeys</h2>
      <Passkeys />
    </>
  )
}

// Codes turns the second factor on, and off. Both times a code is shown, so that nobody is locked out.
function Codes({ on }: { on: boolean }) {
  const [fresh, setFresh] = useState<NewTOTP>()
  const offer = useMutation({ mutationFn: () => told(client.POST('/me/totp', {})), onSuccess: setFresh })
  const set = useMutation({
    mutationFn: (body: { code: string; on: boolean }) => told(client.PUT('/me/totp', { body })),
    onSuccess: () => {
      setFresh(undefined)
      void cache.invalidateQueries({ queryKey: ['me'] })
    },
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    set.mutate({ code: String(new FormData(e.currentTarget).get('code')), on: !on })
    e.currentTarget.reset()
  }
  if (!on && !fresh)
    return (
      <>
        <p className="quiet">A code is asked for beside the password, so that a password alone is of no use to who finds it.</p>
        <button disabled={offer.isPending} onClick={() => offer.mutate()}>
          Set up codes
        </button>
        {offer.isError && <Failed error={offer.error} />}
      </>
    )
  return (
    <>
      {fresh && (
        <>
          <p>Scan this with your authenticator, or type the secret in. It is shown this once.</p>
          <img className="code" src={`data:image/png;base64,${fresh.image}`} width={220} height={220} alt="QR code of the secret below" />
          <Copy text={fresh.secret} label="the secret" />
        </>
      )}
      {on && <p>On: a code is asked for beside your password.</p>}
      <form onSubmit={submit} className="inline">
        <Field label="The code that it shows now">
          {(id) => <input id={id} name="code" inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" minLength={6} maxLength={6} required />}
        </Field>
        <button className={on ? '' : 'main'} disabled={set.isPending}>
          {on ? 'Turn off' : 'Turn on'}
        </button>
      </form>
      {set.isError && <Failed error={set.error} />}
    </>
  )
}

function Passkeys() {
  const add = useDo('passkeys', addPasskey)
  const remove = useDo('passkeys', (passkey: string) => told(client.DELETE('/me/passkeys/{passkey}', { params: { path: { passkey } } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    add.mutate(String(new FormData(e.currentTarget).get('name')))
  }
  const failed = [add, remove].find((m) => m.isError)
  return (
    <>
      {can() ? (
        <form onSubmit={submit} className="inline">
          <Field label="Name of a new one">{(id) => <input id={id} name="name" required maxLength={64} placeholder="phone" />}</Field>
          <button disabled={add.isPending}>Add a passkey</button>
        </form>
      ) : (
        <p className="quiet">This browser can add none here: passkeys need an address over https, or localhost.</p>
      )}
      {failed && <Failed error={failed.error} />}
      <Table
        asked={ask.passkeys()}
        head={['Passkey', 'Added', 'Used']}
        empty="None yet. With one you sign in by a finger or a PIN, without a password."
        row={(p) => (
          <tr key={p.id}>
            <td>{plain(p.name)}</td>
            <td>
              <Time at={p.created_at} />
            </td>
            <td>
              <Time at={p.used_at} />
            </td>
            <td className="number">
              <button onClick={() => remove.mutate(p.id)}>Remove</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}
