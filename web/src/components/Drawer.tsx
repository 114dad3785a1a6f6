// Details beside the view. Not modal: the view stays usable, Esc closes, focus is not trapped.
import { useEffect, useRef, type ReactNode } from 'react';
import { useEscape } from '../state/keys';
import { Icon } from './Icon';
import './drawer.css';

interface Props {
  label: string;
  title: ReactNode;
  subtitle?: ReactNode;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** Take the focus when opened, and give it back: for views whose own focus says nothing more. */
  takeFocus?: boolean;
}

export function Drawer({ label, title, subtitle, onClose, children, wide = false, takeFocus = false }: Props) {
  const ref = useRef<HTMLElement>(null);
  useEscape(onClose);
  useEffect(() => {
    if (!takeFocus) return;
    const before = document.activeElement as HTMLElement | null;
    ref.current?.focus({ preventScroll: true });
    return () => before?.focus({ preventScroll: true });
  }, [takeFocus]);
  return (
    <aside ref={ref} className={`drawer ${wide ? 'wide' : ''}`} aria-label={label} tabIndex={-1} data-testid="drawer">
      <header className="drawer-head">
        <div className="grow">
          <h2 className="drawer-title">{title}</h2>
          {subtitle && <div className="muted small">{subtitle}</div>}
        </div>
        <button className="icon-button" onClick={onClose} aria-label="Close (Esc)" title="Close (Esc)"><Icon name="close" /></button>
      </header>
      <div className="drawer-body">{children}</div>
    </aside>
  );
}

export function Section({ title, extra, children }: { title: string; extra?: ReactNode; children: ReactNode }) {
  return (
    <section className="section">
      <div className="section-head"><h3>{title}</h3>{extra}</div>
      {children}
    </section>
  );
}
