import { Component, type ReactNode } from 'react'

type Props = { children: ReactNode; at: string }

// Fault stands for a page that has failed, so that the others still can be reached. A part of the page that the server has in another version
// by now fails too: to load everything anew mends that.
export class Fault extends Component<Props, { error?: Error; at?: string }> {
  override state: { error?: Error; at?: string } = {}

  static getDerivedStateFromError(error: Error) {
    return { error }
  }

  static getDerivedStateFromProps(props: Props, state: { error?: Error; at?: string }) {
    return state.at === props.at ? null : { at: props.at, error: undefined }
  }

  override render() {
    if (!this.state.error) return this.props.children
    return (
      <div className="note bad" role="alert">
        <h1>This page has a fault</h1>
        <p>{this.state.error.message.slice(0, 300)}</p>
        <button onClick={() => location.reload()}>Load it anew</button>
      </div>
    )
  }
}
