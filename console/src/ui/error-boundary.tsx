// A page that fails says so in its place, and the navigation beside it goes on.
import { Component, type ReactNode } from "react";
import { Failed } from "./states.tsx";

interface Props {
  /** Another one is another chance: the path. */
  of: string;
  children: ReactNode;
}

interface State {
  error: unknown;
  of: string;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null, of: this.props.of };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error };
  }

  static getDerivedStateFromProps({ of }: Props, state: State): Partial<State> | null {
    return of === state.of ? null : { of, error: null };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div className="card">
        <Failed error={this.state.error} retry={() => location.reload()} />
      </div>
    );
  }
}
