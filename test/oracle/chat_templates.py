#!/usr/bin/env python3
"""Writes test/fixtures/chat-templates.json: conversations in chat templates, as transformers renders them.

    python -P chat_templates.py > ../fixtures/chat-templates.json

{date, templates: {name: source}, conversations: {name: {messages, tools?, documents?, variables?}}, texts: [{template, conversation,
addGenerationPrompt, text}]}, where text is null if the template refuses. strftime: [{date, format, text}]. The templates have the forms that those of common
models have: calls of tools, thoughts, the day.
"""

import datetime
import json
import sys

from transformers.utils import chat_template_utils

DATE = '2026-03-07'

TEMPLATES = {
    'turns': "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    'dated': (
        "{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}"
        "{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}{{- bos_token + 'Today: ' + date_string + '\n\n' }}"
        "{%- for m in messages %}{{- '<' + m.role + '>' + m.content + '</>' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<assistant>' }}{%- endif %}"
    ),
    'tools': (
        "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}"
        "{%- if tools is not none %}{{- 'Tools:\n' }}{%- for t in tools %}{{- t | tojson(indent=4) + '\n' }}{%- endfor %}{%- endif %}"
        "{%- if documents %}{%- for d in documents %}{{- d.title ~ ': ' ~ d.text ~ '\n' }}{%- endfor %}{%- endif %}"
        "{%- for m in messages %}{%- if m.tool_calls %}{%- for c in m.tool_calls %}"
        "{{- '<call>' + {'name': c.function.name, 'arguments': c.function.arguments} | tojson + '</call>' }}{%- endfor %}{{- '<end>' }}"
        "{%- elif m.role == 'tool' %}{{- '<result id=' + (m.tool_call_id or '') + '>' + m.content + '<end>' }}"
        "{%- elif m.role in ['user', 'assistant', 'system'] %}{{- '<' + m.role + (':' + m.name if m.name is defined else '') + '>' + m.content + '<end>' }}"
        "{%- else %}{{- raise_exception('unknown role ' + m.role) }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<assistant>' }}{%- endif %}"
    ),
    'thoughts': (
        "{%- set ns = namespace(last=-1) %}{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}"
        "{%- for m in messages %}{{- '<' + m.role + '>' }}{%- if m.role == 'assistant' and m.reasoning_content is defined and loop.index0 > ns.last %}"
        "{{- '<think>\n' + m.reasoning_content.strip('\n') + '\n</think>\n\n' }}{%- endif %}{{- m.content + '<end>' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<assistant>' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
    ),
}

user, tool = {'role': 'user', 'content': ' two plus three? '}, {'type': 'function', 'function': {'name': 'add', 'parameters': {'type': 'object', 'properties': {'a': {'type': 'number'}, 'b': {'type': 'number', 'description': 'größer <als> "a" & \'b\''}}, 'required': []}}}
CONVERSATIONS = {
    'one exchange': {'messages': [user, {'role': 'assistant', 'content': '5'}]},
    'a call': {
        'tools': [tool],
        'documents': [{'title': 'Sums', 'text': '2 + 3 = 5'}],
        'messages': [
            {'role': 'system', 'content': 'Be exact.'},
            {**user, 'name': 'ann'},
            {'role': 'assistant', 'content': None, 'tool_calls': [{'id': 'call00001', 'type': 'function', 'function': {'name': 'add', 'arguments': {'a': 2, 'b': [3, True, None]}}}]},
            {'role': 'tool', 'tool_call_id': 'call00001', 'content': '5'},
            {'role': 'assistant', 'content': 'five'},
        ],
    },
    'thoughts': {
        'variables': {'enable_thinking': False},
        'messages': [
            user,
            {'role': 'assistant', 'content': '5', 'reasoning_content': '\nearlier\n'},
            {'role': 'user', 'content': 'and one?'},
            {'role': 'assistant', 'content': '6', 'reasoning_content': '\nfive and one\n'},
        ],
    },
}

FORMATS = ['%d %b %Y', '%A, %B %d, %Y', '%a %-d %b %y', '%Y-%m-%dT%H:%M:%S', '%I %p', '%j %U %W %w %u', '%c', '%x %X', '%F %T', '%z%Z%%', '%f', '%-m/%-d/%-j']
DAYS = [DATE, '2024-02-29', '2025-12-31', '2023-01-01', '1999-10-04', '2027-01-03']


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(DATE)


def rendered(template, conversation, generation):
    given = {key: value for key, value in conversation.items() if key not in ('messages', 'variables')}
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [conversation['messages']], chat_template=TEMPLATES[template], add_generation_prompt=generation, bos_token='<s>', **given, **conversation.get('variables', {})
        )
        return texts[0]
    except Exception:
        return None


if __name__ == '__main__':
    chat_template_utils.datetime = Clock
    texts = [
        dict(template=template, conversation=name, addGenerationPrompt=generation, text=rendered(template, conversation, generation))
        for template in TEMPLATES for name, conversation in CONVERSATIONS.items() for generation in (False, True)
        if (template, name) != ('turns', 'a call')  # Python writes None where a turn is a call alone
    ]
    days = [dict(date=day, format=form, text=datetime.datetime.fromisoformat(day).strftime(form)) for day in DAYS for form in FORMATS]
    json.dump(dict(date=DATE, templates=TEMPLATES, conversations=CONVERSATIONS, texts=texts, strftime=days), sys.stdout, indent=1, ensure_ascii=False)
    print()
