"""The alert rules and dashboards, generated: ``python -m mixin --settings FILE --output DIRECTORY``.

``mixin/rules/`` has the rules, one file for each group; `mixin.settings` has the settings.
"""
