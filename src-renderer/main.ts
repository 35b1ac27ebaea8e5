import './theme.ts';
import './style/tokens.css';
import './style/base.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { openBridge } from './bridge.ts';
import { Studio } from './state/studio.svelte.ts';

mount(App, { target: document.getElementById('app')!, props: { studio: new Studio(openBridge()) } });
