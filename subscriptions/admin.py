"""Plans, codes and who has what, in the console."""

import csv
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.console import AuditedAdmin, answered
from accounts.models import User
from subscriptions import services
from subscriptions.codes import hash_code, make_code, normal_code
from subscriptions.models import ALLOWANCE_FIELDS, MAX_DAYS, Code, Plan, Subscription

MAX_BATCH = 1000  # codes; the page waits for their hashes
DAYS_RANGE = [MinValueValidator(1), MaxValueValidator(MAX_DAYS)]
_NUMBERS = [field for field in ALLOWANCE_FIELDS if field.startswith("max_")]
_FLAGS = [field for field in ALLOWANCE_FIELDS if field.endswith("_allowed")]
ALLOWANCE_FIELDSETS: Any = [(_("Limits"), {"fields": _NUMBERS}), (_("Allowed"), {"fields": _FLAGS})]


class EmailField(forms.EmailField):
    """The address of somebody whom we know; gives the person."""

    def clean(self, value: Any) -> Any:
        email = super().clean(value).strip().lower()
        user = User.objects.filter(email=email).first()
        if user is None:
            raise ValidationError(gettext("Nobody here has this address."))
        return user


class GiveForm(forms.Form):
    user = EmailField(label=_("To"), help_text=_("e-mail address"))
    valid_days = forms.IntegerField(
        label=_("Days"), required=False, validators=DAYS_RANGE, help_text=_("empty: without end")
    )


class BatchForm(forms.Form):
    count = forms.IntegerField(
        label=_("Codes"), validators=[MinValueValidator(1), MaxValueValidator(MAX_BATCH)]
    )
    valid_days = forms.IntegerField(
        label=_("Days"),
        initial=365,
        validators=DAYS_RANGE,
        help_text=_("from the day each is claimed"),
    )


class ExtendForm(forms.Form):
    days = forms.IntegerField(
        label=_("Days"),
        initial=30,
        validators=DAYS_RANGE,
        help_text=_("added to its end; to now for one that is over"),
    )


@admin.register(Plan)
class PlanAdmin(AuditedAdmin[Plan]):
    list_display = (
        "name",
        "is_default",
        "max_claims",
        "max_shares",
        "max_history_days",
        "max_resolution_minutes",
    )
    search_fields = ("name",)
    fieldsets = [(None, {"fields": ["name"]}), *ALLOWANCE_FIELDSETS]
    ordering = ("name",)
    actions = ("make_default", "give", "make_codes")

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """The default plan stays: make another one the default first."""
        is_default = obj is not None and obj.is_default
        return not is_default and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> Any:
        """Deleting is done one by one, where the default plan is known."""
        return {
            n: action for n, action in super().get_actions(request).items() if n in self.actions
        }

    def has_sell_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_code")

    def has_give_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_subscription")

    @admin.action(description=_("Make it the default"), permissions=["change"])
    def make_default(self, request: HttpRequest, queryset: QuerySet[Plan]) -> None:
        plan = self._only(request, queryset)
        if plan:
            services.make_default(plan)
            self.log_change(request, plan, "Made the default.")
            message = gettext("%s holds for everybody who has no other plan.") % plan
            self.message_user(request, message, messages.SUCCESS)

    @admin.action(description=_("Give it to a person"), permissions=["give"])
    def give(self, request: HttpRequest, queryset: QuerySet[Plan]) -> HttpResponse | None:
        plan = self._only(request, queryset)
        if plan is None:
            return None
        form = GiveForm(answered(request))
        if not form.is_valid():
            return self.ask(
                request,
                form,
                action="give",
                title=gettext("Give a plan"),
                button=gettext("Give"),
                chosen=[plan],
            )
        given = services.give_plan(plan=plan, at=timezone.now(), **form.cleaned_data)
        self.note(request, "Given.", given)
        told = gettext("%(person)s has %(plan)s now.") % {"person": given.user, "plan": given.name}
        self.message_user(request, told, messages.SUCCESS)
        return None

    @admin.action(description=_("Make codes for it"), permissions=["sell"])
    def make_codes(self, request: HttpRequest, queryset: QuerySet[Plan]) -> HttpResponse | None:
        """A batch of codes as CSV. The download is the only time that they can be read."""
        plan = self._only(request, queryset)
        if plan is None:
            return None
        form = BatchForm(answered(request))
        if not form.is_valid():
            return self.ask(
                request,
                form,
                action="make_codes",
                title=gettext("Make codes: keep the file, they cannot be shown again"),
                button=gettext("Make and download"),
                chosen=[plan],
            )
        now = timezone.now()
        made = services.make_codes(
            plan=plan, creator_id=_name_of(request), at=now, **form.cleaned_data
        )
        self.log_change(request, plan, f"Made {len(made)} codes.")
        name = f"codes-{now:%Y%m%d-%H%M%S}.csv"
        response = HttpResponse(
            content_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        table = csv.writer(response)
        table.writerow(["number", "code", "plan", "days"])
        table.writerows((n, text, plan.name, form.cleaned_data["valid_days"]) for n, text in made)
        return response

    def _only(self, request: HttpRequest, queryset: QuerySet[Plan]) -> Plan | None:
        plans = list(queryset)
        if len(plans) == 1:
            return plans[0]
        self.message_user(request, gettext("Choose one plan."), messages.WARNING)
        return None


class NewCodeForm(forms.ModelForm[Code]):
    """A code by hand."""

    plan = forms.ModelChoiceField(Plan.objects.all(), label=_("Plan"))
    text = forms.CharField(
        label=_("Code"),
        required=False,
        max_length=100,
        help_text=_("empty: a new one is made. It is shown after saving, and never again."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    class Meta:
        model = Code
        fields = ("valid_days",)

    def clean_text(self) -> str:
        text = self.cleaned_data["text"] or make_code()
        try:
            normal_code(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if Code.objects.filter(code_hash=hash_code(text)).exists():
            raise ValidationError(gettext("This code exists already."))
        return str(text)


@admin.register(Code)
class CodeAdmin(AuditedAdmin[Code]):
    list_display = (
        "number",
        "name",
        "valid_days",
        "creator_id",
        "created_at",
        "claimed_by",
        "claimed_at",
    )
    list_filter = (("claimed_at", admin.EmptyFieldListFilter), "name")
    list_select_related = ("claimed_by",)
    ordering = ("-created_at", "-pk")
    search_fields = ("claimed_by__email", "creator_id", "=id")
    search_help_text = _("A whole code, its number, who claimed it, or who made it")
    readonly_fields = ("claimed_by", "claimed_at", "creator_id", "created_at")
    actions = ("withdraw",)
    show_full_result_count = False

    @admin.display(description=_("number"), ordering="pk")
    def number(self, code: Code) -> int:
        return code.pk

    def has_change_permission(self, request: HttpRequest, obj: Code | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Code | None = None) -> bool:
        """Who claimed what stays known."""
        claimed = obj is not None and obj.claimed_at is not None
        return not claimed and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> Any:
        return {
            n: action for n, action in super().get_actions(request).items() if n in self.actions
        }

    @admin.action(description=_("Delete those that nobody claimed"), permissions=["delete"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Code]) -> None:
        unclaimed = queryset.unclaimed()  # type: ignore[attr-defined]  # our own manager's
        self.log_deletions(request, unclaimed)
        gone = unclaimed.delete()[0]
        told = ngettext("%d code is gone.", "%d codes are gone.", gone) % gone
        self.message_user(request, told, messages.SUCCESS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Code], search_term: str
    ) -> tuple[QuerySet[Code], bool]:
        """A code is found by its hash."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        try:
            exact = queryset.filter(code_hash=hash_code(search_term))
        except ValueError:
            return found, duplicates
        return found | exact, duplicates

    def get_fieldsets(self, request: HttpRequest, obj: Code | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["plan", "valid_days", "text"]})]
        told = ["name", "valid_days", *self.readonly_fields]
        return [(None, {"fields": told}), *ALLOWANCE_FIELDSETS]

    def get_readonly_fields(self, request: HttpRequest, obj: Code | None = None) -> Any:
        return () if obj is None else self.readonly_fields

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        if obj is None:
            kw["form"] = NewCodeForm
            kw["fields"] = ["valid_days"]
        return super().get_form(request, obj, change, **kw)

    def save_model(self, request: HttpRequest, obj: Code, form: Any, change: bool) -> None:
        text = form.cleaned_data["text"]
        made = services.register_code(
            text=text,
            allowance=form.cleaned_data["plan"].allowed(),
            valid_days=form.cleaned_data["valid_days"],
            creator_id=_name_of(request),
            at=timezone.now(),
        )
        obj.pk, obj.name = made.pk, made.name
        message = gettext("The code is %s. It cannot be shown again.") % text
        self.message_user(request, message, messages.WARNING)


class NewSubscriptionForm(forms.ModelForm[Subscription]):
    """Gives a plan to a person, at once."""

    plan = forms.ModelChoiceField(Plan.objects.all(), label=_("Plan"))
    valid_days = forms.IntegerField(
        label=_("Days"), required=False, validators=DAYS_RANGE, help_text=_("empty: without end")
    )

    class Meta:
        model = Subscription
        fields = ("user",)


@admin.register(Subscription)
class SubscriptionAdmin(AuditedAdmin[Subscription]):
    list_display = ("user", "name", "state", "starts_at", "ends_at", "max_claims")
    list_filter = ("name",)
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "name")
    ordering = ("-starts_at",)
    actions = ("extend",)

    @admin.display(description=_("state"))
    def state(self, subscription: Subscription) -> str:
        now = timezone.now()
        if subscription.starts_at > now:
            return gettext("not begun")
        running = subscription.ends_at is None or subscription.ends_at > now
        return gettext("active") if running else gettext("over")

    def get_fieldsets(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["user", "plan", "valid_days"]})]
        told = ["user", "name", "starts_at", "ends_at"]
        return [(None, {"fields": told}), *ALLOWANCE_FIELDSETS]

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        return () if obj is None else ("user",)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        if obj is None:
            kw["form"] = NewSubscriptionForm
            kw["fields"] = ["user"]
        return super().get_form(request, obj, change, **kw)

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        given = services.give_plan(
            user=obj.user,
            plan=form.cleaned_data["plan"],
            valid_days=form.cleaned_data["valid_days"],
            at=timezone.now(),
        )
        obj.pk, obj.name = given.pk, given.name

    @admin.action(description=_("Extend"), permissions=["change"])
    def extend(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        chosen = list(queryset.select_related("user"))
        form = ExtendForm(answered(request))
        if not form.is_valid():
            return self.ask(
                request,
                form,
                action="extend",
                title=gettext("Extend"),
                button=gettext("Extend"),
                chosen=chosen,
            )
        days = form.cleaned_data["days"]
        extended = services.extend(subscriptions=chosen, days=days, at=timezone.now())
        for subscription in chosen:
            self.log_change(request, subscription, f"Extended by {days} days.")
        told = gettext("%(number)d end %(days)d days later.") % {
            "number": extended,
            "days": days,
        }
        self.message_user(request, told, messages.SUCCESS)
        return None


def _name_of(request: HttpRequest) -> str:
    assert isinstance(request.user, User)  # noqa: S101  # the console needs a sign-in
    return request.user.email
