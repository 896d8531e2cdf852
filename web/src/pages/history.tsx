import { plain } from '../../core/format.ts'
import { ask } from '../api.ts'
import { Choice, Export, Empty, Marks, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { List } from '../components/list.tsx'
import { Link, useParam } from '../router.tsx'

// how says in what way an update left.
const how: Record<string, string> = { installed: 'installed', removed: 'package removed', withdrawn: 'not on offer any more', unknown: 'unknown' }

export function History() {
  useTitle('History')
  const [what] = useParam('what')
  const appeared = what === 'appeared'
  return (
    <>
      <Title aside={<Export path={appeared ? '/appeared' : '/history'} />}>History</Title>
      <Choice name="what" label="What" choices={[['', 'What left'], ['appeared', 'What appeared']]} />
      {appeared ? (
        <List
          label="What appeared"
          asked={ask.appeared()}
          id={(o) => `${o.host} ${o.update.source} ${o.update.name} ${o.update.arch} ${o.update.kind ?? ''} ${o.update.level ?? ''}`}
          columns={[
            { head: 'Update', width: 'minmax(12rem, 2fr)', cell: (o) => plain(o.update.name) },
            { head: 'Version', width: 'minmax(14rem, 2fr)', cell: (o) => <Step update={o.update} /> },
            { head: 'About', width: 'minmax(6rem, 1fr)', cell: (o) => <Marks update={o.update} /> },
            { head: 'Host', width: 'minmax(10rem, 1.4fr)', cell: (o) => <Link href={`/hosts/${o.host}`}>{plain(o.host_name)}</Link> },
            { head: 'When', width: '7.5rem', cell: (o) => <Time at={o.first_seen} /> },
          ]}
          empty={<Empty>Nothing is pending.</Empty>}
        />
      ) : (
        <List
          label="What left"
          asked={ask.history()}
          id={(g) => `${g.host} ${g.update.source} ${g.update.name} ${g.update.arch} ${g.gone_at} ${g.update.kind ?? ''} ${g.update.level ?? ''}`}
          columns={[
            { head: 'Update', width: 'minmax(12rem, 2fr)', cell: (g) => plain(g.update.name) },
            { head: 'Version', width: 'minmax(14rem, 2fr)', cell: (g) => <Step update={g.update} /> },
            { head: 'How', width: 'minmax(7rem, 1fr)', cell: (g) => how[g.how] ?? g.how },
            { head: 'Host', width: 'minmax(10rem, 1.4fr)', cell: (g) => <Link href={`/hosts/${g.host}`}>{plain(g.host_name)}</Link> },
            { head: 'When', width: '7.5rem', cell: (g) => <Time at={g.gone_at} /> },
          ]}
          empty={<Empty>Nothing has left yet: what is installed, removed or withdrawn appears here.</Empty>}
        />
      )}
    </>
  )
}
