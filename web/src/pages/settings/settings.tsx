import type { Caller } from '../../../core/types.ts'
import { Choice, Title, useTitle } from '../../components/bits.tsx'
import { useParam } from '../../router.tsx'
import { may } from '../../who.ts'
import { Advisories } from './advisories.tsx'
import { Groups } from './groups.tsx'
import { Keys } from './keys.tsx'
import { Server } from './server.tsx'
import { Tokens } from './tokens.tsx'
import { Users } from './users.tsx'
import { You } from './you.tsx'

export function Settings({ me }: { me: Caller }) {
  useTitle('Settings')
  const [tab] = useParam('tab')
  const choices: [string, string][] = [
    ['', 'You'],
    ['groups', 'Groups'],
    ['advisories', 'Advisories'],
    ['server', 'Server'],
  ]
  if (may(me, 'administer')) choices.push(['users', 'Users'], ['keys', 'API keys'], ['tokens', 'Tokens'])
  return (
    <>
      <Title>Settings</Title>
      <Choice name="tab" label="Settings" choices={choices} />
      {tab === '' && <You me={me} />}
      {tab === 'groups' && <Groups me={me} />}
      {tab === 'advisories' && <Advisories me={me} />}
      {tab === 'server' && <Server />}
      {tab === 'users' && <Users />}
      {tab === 'keys' && <Keys />}
      {tab === 'tokens' && <Tokens />}
    </>
  )
}
